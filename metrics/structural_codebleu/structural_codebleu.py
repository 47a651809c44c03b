"""CodeBLEU with strict syntax and data-flow parts, as an `evaluate` module."""

import datasets
import evaluate

from hf_structdistill.scoring import codebleu
from hf_structdistill.scoring.reference_lists import TakesReferenceLists

_DESCRIPTION = """\
CodeBLEU: n-gram match, keyword-weighted n-gram match, syntax match and data-flow match, weighted. In strict mode the
n-grams run over the tokens of the syntax tree, operators count, data flow follows reaching definitions, and the
weights are renormalised over the parts that are defined. In codexglue mode it is the published score.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: list of programs.
    references: list of programs, or of lists of programs (several references for one prediction).
    language: "python" (default); with mode="codexglue" also "java", "javascript", "go" or "rust".
    mode: "strict" (default) or "codexglue", the published metric (equal to the package codebleu 0.7.0).
    weights: of the four parts in the order above; default 0.25 each.
    per_sample: also return `codebleu_per_sample`.
    num_proc: processes to spread the samples over.
Returns:
    codebleu: from 0 to 1.
    ngram_match, weighted_ngram_match, syntax_match, dataflow_match: its parts, from 0 to 1; None where undefined.
    undefined: samples whose reference has no data flow.
    unparsable_predictions: predictions with a syntax error.
Examples:
    >>> import evaluate
    >>> from hf_structdistill.resources import shipped_folder
    >>> metric = evaluate.load(str(shipped_folder("metrics") / "structural_codebleu"))
    >>> reference = "def f(a):\\n    return a + 1"
    >>> scores = metric.compute(predictions=["def f(a):\\n    return (a+1)"], references=[reference])
    >>> round(scores["codebleu"], 3), scores["syntax_match"], scores["dataflow_match"]
    (1.0, 1.0, 1.0)
    >>> scores = metric.compute(predictions=["def f(b):\\n    return b - 1"], references=[reference])
    >>> round(scores["codebleu"], 3), round(scores["syntax_match"], 3), scores["dataflow_match"]
    (0.385, 0.167, 1.0)
"""

_CITATION = """\
@misc{ren2020codebleu,
    title={CodeBLEU: a Method for Automatic Evaluation of Code Synthesis},
    author={Shuo Ren and Daya Guo and Shuai Lu and Long Zhou and Shujie Liu and Duyu Tang and Neel Sundaresan and
        Ming Zhou and Ambrosio Blanco and Shuai Ma},
    year={2020},
    eprint={2009.10297},
    archivePrefix={arXiv},
    primaryClass={cs.SE}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class StructuralCodeBleu(TakesReferenceLists, evaluate.Metric):
    def _info(self):
        several = {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}
        single = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=[datasets.Features(several), datasets.Features(single)],
            codebase_urls=["https://github.com/microsoft/CodeXGLUE"],
            reference_urls=["https://arxiv.org/abs/2009.10297"],
        )

    def _compute(
        self,
        predictions,
        references,
        language="python",
        mode="strict",
        weights=(0.25, 0.25, 0.25, 0.25),
        per_sample=False,
        num_proc=1,
    ):
        return codebleu(
            predictions,
            references,
            language=language,
            mode=mode,
            weights=weights,
            per_sample=per_sample,
            num_proc=num_proc,
        )
