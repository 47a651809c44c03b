"""What the settings that we recommend do to each kind of student, in one table: differences from SFTTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .arms import SFT
from .ledger import Ledger
from .report import markdown
from .statistics import MAIN_MEASURES, MEASURES, Estimate, by_arm, estimate

FROM_SCRATCH = "half of the heads + syntax path"
SHARED = "shared by all heads"


class Case(NamedTuple):
    """A line: the student, its split, what is on, and where its runs are."""

    student: str
    split: str
    setting: str
    ledger: str
    study: str
    arm: str


PAIR = "name attention, 5 of 10 heads + AST path, 1"
CASES = (
    Case("from scratch", "test", FROM_SCRATCH, "runs", "without reasoning", PAIR),
    Case("from scratch, 7,200 problems", "test", FROM_SCRATCH, "runs", "without reasoning, 7200 problems", PAIR),
    Case("from scratch, with reasoning", "test", FROM_SCRATCH, "runs", "with reasoning", PAIR),
    Case("from scratch", "test", SHARED, "runs", "without reasoning", "name attention, all heads share it"),
    *(
        Case(student, split, setting, "ablations", study, arm)
        for setting, arm in (
            (SHARED, "all heads share it, 0.3"),
            (FROM_SCRATCH, "half of the heads + AST path, 1"),
        )
        for student, split, study in (
            ("17M base, 800 problems", "validation", "a base that has seen Python"),
            ("17M base, 3,600 problems", "test", "a base, 3600 problems, test"),
            ("17M base, 800 problems, three times", "test", "a base, 800 problems seen 3 times, test"),
        )
    ),
)


def glance(folder: Path) -> str:
    """Markdown: a case a line; the mean paired difference with its 95% interval, bold where that excludes zero."""
    rows = {name: Ledger(folder / f"{name}.jsonl").rows() for name in ("runs", "ablations")}
    heads = ["student", "name attention", "split, seeds", *(MEASURES[measure] for measure in MAIN_MEASURES)]
    lines = []
    for case in CASES:
        scores = by_arm(row for row in rows[case.ledger] if row["study"] == case.study)
        if case.arm in scores:
            cells = [_cell(estimate(scores[case.arm], scores[SFT], measure)) for measure in MAIN_MEASURES]
            where = f"{case.split}, {len(scores[case.arm])}"
            lines.append([case.student, case.setting, where, *cells])
    return markdown(heads, lines)


def _cell(found: Estimate) -> str:
    if found.difference is None:
        return "one seed"
    text = f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    return f"**{text}**" if found.clear else text
