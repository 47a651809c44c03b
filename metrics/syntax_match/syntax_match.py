"""Syntax match between generated and reference programs, as an `evaluate` module."""

import datasets
import evaluate

from hf_structdistill.scoring import syntax_match
from hf_structdistill.scoring.reference_lists import TakesReferenceLists

_DESCRIPTION = """\
Syntax match: the share of the reference program's syntax subtrees that the prediction has too. Names and literal
values do not count, operators do. Reported with what shuffled references reach, so that a number can be read.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: list of programs.
    references: list of programs, or of lists of programs (several references for one prediction).
    language: "python" (default), "java", "javascript", "go" or "rust".
    mode: "strict" (default) or "codexglue", the published metric (equal to the package codebleu 0.7.0).
    per_sample: also return `syntax_match_per_sample`, `matched_per_sample` and `total_per_sample`.
    floor_shuffles: against how many other samples' references each prediction is scored for the floor.
    num_proc: processes to spread the samples over.
Returns:
    syntax_match: micro average, from 0 to 1, None where nothing is defined.
    syntax_match_macro: mean over samples.
    syntax_match_floor, syntax_match_macro_floor: the same against shuffled references (None for one sample).
    syntax_match_corrected: (m - m0) / (1 - m0) of the micro average m and its floor m0.
    matched, total: subtrees of the references that were found, and all of them.
    undefined: always 0 here: every program has a subtree, itself.
    unparsable_predictions: predictions with a syntax error.
Examples:
    >>> import evaluate
    >>> from hf_structdistill.resources import shipped_folder
    >>> metric = evaluate.load(str(shipped_folder("metrics") / "syntax_match"))
    >>> scores = metric.compute(predictions=["total = price + tax"], references=["x = a + b"])
    >>> scores["syntax_match"], scores["matched"], scores["total"]
    (1.0, 4, 4)
    >>> metric.compute(predictions=["x = a - b"], references=["x = a + b"])["syntax_match"]
    0.0
    >>> metric.compute(predictions=["x = a - b"], references=["x = a + b"], mode="codexglue")["syntax_match"]
    1.0
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
class SyntaxMatch(TakesReferenceLists, evaluate.Metric):
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
        per_sample=False,
        floor_shuffles=5,
        num_proc=1,
    ):
        return syntax_match(
            predictions,
            references,
            language=language,
            mode=mode,
            per_sample=per_sample,
            floor_shuffles=floor_shuffles,
            num_proc=num_proc,
        )
