"""Data-flow match between generated and reference programs, as an `evaluate` module."""

import datasets
import evaluate

from hf_structdistill.scoring import dataflow_match
from hf_structdistill.scoring.reference_lists import TakesReferenceLists

_DESCRIPTION = """\
Data-flow match: the share of the reference program's data flow (which definitions reach which uses, and what each
definition is computed from) that the prediction has too, whatever the variables are called. Reported with what
shuffled references reach, so that a number can be read.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: list of programs.
    references: list of programs, or of lists of programs (several references for one prediction).
    language: "python" (default); with mode="codexglue" also "java", "javascript", "go" or "rust".
    mode: "strict" (default) or "codexglue", the published metric (equal to the package codebleu 0.7.0).
    per_sample: also return `dataflow_match_per_sample`, `matched_per_sample` and `total_per_sample`.
    floor_shuffles: against how many other samples' references each prediction is scored for the floor.
    num_proc: processes to spread the samples over.
Returns:
    dataflow_match: micro average, from 0 to 1, None where nothing is defined.
    dataflow_match_macro: mean over samples.
    dataflow_match_floor, dataflow_match_macro_floor: the same against shuffled references (None for one sample).
    dataflow_match_corrected: (m - m0) / (1 - m0) of the micro average m and its floor m0.
    matched, total: data-flow items of the references that were found, and all of them.
    undefined: samples whose reference has no data flow; they are left out of the averages.
    unparsable_predictions: predictions with a syntax error.
Examples:
    >>> import evaluate
    >>> from hf_structdistill.resources import shipped_folder
    >>> metric = evaluate.load(str(shipped_folder("metrics") / "dataflow_match"))
    >>> reference = "def f(xs):\\n    n = 0\\n    for x in xs:\\n        n += x\\n    return n"
    >>> renamed = "def total(values):\\n    out = 0\\n    for v in values:\\n        out += v\\n    return out"
    >>> metric.compute(predictions=[renamed], references=[reference])["dataflow_match"]
    1.0
    >>> wrong = "def f(xs):\\n    n = 0\\n    for x in xs:\\n        n += n\\n    return n"
    >>> round(metric.compute(predictions=[wrong], references=[reference])["dataflow_match"], 3)
    0.667
    >>> metric.compute(predictions=["def f(): return 1"], references=["def f(): return 1"])["dataflow_match"] is None
    True
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
class DataflowMatch(TakesReferenceLists, evaluate.Metric):
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
        return dataflow_match(
            predictions,
            references,
            language=language,
            mode=mode,
            per_sample=per_sample,
            floor_shuffles=floor_shuffles,
            num_proc=num_proc,
        )
