"""pass@k of programs that run in a sandbox and never decide their own verdict, as an `evaluate` module."""

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral

import datasets
import evaluate

from hf_structdistill.errors import InputError
from hf_structdistill.problems import AssertTests, CheckTests, Problem
from hf_structdistill.sandbox import verify
from hf_structdistill.sandbox.assertions import can_judge
from hf_structdistill.scoring import pass_at_k

_DESCRIPTION = """\
Verified pass@k: the unbiased estimate of the chance that one of k samples passes its tests (Chen et al. 2021). Tests
run in a trusted judge; the candidate runs elsewhere, in a sandbox without network, and only plain values cross, so a
program cannot pass by forging output, leaving early or comparing equal to everything.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: for each problem a list of candidate programs.
    references: for each problem its tests as Python code: assert statements with their set-up code before them, a
        script (`if __name__ == "__main__":` runs), or a function check(candidate) followed by a call such as
        check(add), as in HumanEval.
    k: list of sample counts (default [1, 10, 100]); those above the number of samples are left out.
    num_workers: candidates judged at the same time; default: the cores this process may use.
    timeout: CPU seconds a candidate has for the tests of its problem.
    solutions: for each problem a right program, or None. Only where one is given, tests of classes may use len(),
        items, iteration, arithmetic and method names of built-in types (`pop`) on objects: those its classes define.
Returns:
    pass@k for each k: from 0 to 1, the mean over problems that have k samples with a verdict.
    passed, failed, timeout, error: how many candidates ended so.
    unknown: candidates without a verdict (tests that cannot be judged, or asserted nothing); they count as neither
        right nor wrong.
Examples:
    >>> import evaluate
    >>> from hf_structdistill.resources import shipped_folder
    >>> metric = evaluate.load(str(shipped_folder("metrics") / "verified_pass_at_k"))
    >>> samples = ["def add(a, b):\\n    return a + b", "def add(a, b):\\n    return a * b"]
    >>> scores = metric.compute(predictions=[samples], references=["assert add(2, 3) == 5"], k=[1, 2])
    >>> scores["pass@1"], scores["pass@2"], scores["passed"], scores["failed"]
    (0.5, 1.0, 1, 1)
"""

_CITATION = """\
@misc{chen2021evaluating,
    title={Evaluating Large Language Models Trained on Code},
    author={Mark Chen and others},
    year={2021},
    eprint={2107.03374},
    archivePrefix={arXiv},
    primaryClass={cs.LG}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class VerifiedPassAtK(evaluate.Metric):
    def _info(self):
        inputs = {"predictions": datasets.Sequence(datasets.Value("string")), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(inputs),
            reference_urls=["https://arxiv.org/abs/2107.03374"],
        )

    def add_batch(self, *, predictions=None, references=None, **kwargs):
        """Add lists of candidates, and the tests of each problem; evaluate would read a string as characters."""
        for name, value in (("predictions", predictions), ("references", references)):
            if isinstance(value, str):
                raise InputError(f"expected a list for {name}, got str: give a list, one entry a problem")
        for i, samples in enumerate(predictions if predictions is not None else ()):
            if isinstance(samples, str):
                raise InputError(
                    f"expected a list of programs at predictions[{i}], got str: give a list, even of one program"
                )
        super().add_batch(predictions=predictions, references=references, **kwargs)

    def _compute(self, predictions, references, k=(1, 10, 100), num_workers=None, timeout=5.0, solutions=None):
        ks = _sample_counts(k)
        if not len(references):
            raise InputError("expected at least one problem, got empty lists: give the tests of each as a reference")
        if solutions is None:
            solutions = [None] * len(references)
        if len(solutions) != len(references):
            raise InputError(
                f"expected a solution (or None) for each of {len(references)} references, got {len(solutions)}"
            )
        pairs = zip(references, solutions, strict=True)
        problems = [replace(_problem(i, tests), reference=solution) for i, (tests, solution) in enumerate(pairs)]
        owners = [problem for problem, samples in zip(problems, predictions, strict=True) for _ in samples]
        candidates = [sample for samples in predictions for sample in samples]
        verdicts = iter(verify(owners, candidates, workers=num_workers, cpu_seconds=timeout))
        judged = [[next(verdicts).status for _ in samples] for samples in predictions]
        return _report(judged, ks)


def _sample_counts(k):
    ks = list(k) if isinstance(k, Iterable) else [k]
    if not ks or not all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in ks):
        raise InputError(f"expected positive sample counts for k, got {k!r}: give a list such as [1, 10]")
    return sorted(set(map(int, ks)))


def _report(judged, ks):
    """Mean pass@k over the problems with k verdicts, and how many candidates ended in which way."""
    counts = Counter(status for statuses in judged for status in statuses)
    known = [[status for status in statuses if status != "unknown"] for statuses in judged]
    report = {}
    for k in ks:
        estimates = [pass_at_k(len(s), s.count("passed"), k) for s in known if len(s) >= k]
        if estimates:
            report[f"pass@{k}"] = sum(estimates) / len(estimates)
    return {**report, **{status: counts[status] for status in ("passed", "failed", "timeout", "error", "unknown")}}


def _problem(i, tests):
    """Tests as written in code_eval's references, as the sandbox takes them."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"expected tests as Python code at references[{i}], got a {error}") from None
    statements = tree.body
    checked = _checked_names(statements)
    if len(checked) > 1:
        raise InputError(f"expected one call of check at references[{i}], got check of {', '.join(checked)}; split it")
    if checked:
        code = "\n".join(ast.unparse(s) for s in statements if not _is_check_call(s))
        return Problem(str(i), "", CheckTests(code), entry_point=checked[0])
    return Problem(str(i), "", _assert_tests(statements) if can_judge(tree) else None)


def _assert_tests(statements):
    """One test for each top-level assert, with what stands before it, and one for what stands after the last."""
    asserts, setup, waiting = [], "", []
    for statement in statements:
        waiting.append(ast.unparse(statement))
        if isinstance(statement, ast.Assert):
            if not asserts:
                setup, waiting = "\n".join(waiting[:-1]), waiting[-1:]
            asserts.append("\n".join(waiting))
            waiting = []
    if not asserts:  # all in loops, try statements or functions
        return AssertTests(("\n".join(waiting),))
    return AssertTests((*asserts, "\n".join(waiting)) if waiting else tuple(asserts), setup)


def _checked_names(statements):
    """The names in calls check(name), where the tests define check."""
    if not any(isinstance(s, ast.FunctionDef) and s.name == "check" for s in statements):
        return []
    return [statement.value.args[0].id for statement in statements if _is_check_call(statement)]


def _is_check_call(statement):
    call = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "check"
        and len(call.args) == 1
        and isinstance(call.args[0], ast.Name)
    )
