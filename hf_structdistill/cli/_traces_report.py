"""What `structdistill traces` shows while it runs and at its end, and the command line that its card repeats."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model_names import served_name
from ._teachers import Asking, some, spent

if TYPE_CHECKING:
    from ..problems import Problem
    from ..problems.decontamination import Decontamination
    from ..teachers import Example, Teacher, TraceSet
    from ._traces_problems import Source

STAGES = {"replies": "Replies", "repairs": "Repairs", "verified": "Verdicts"}
_LISTED = 20  # requests without a reply


@contextmanager
def progress_bars(teachers: Sequence[Teacher]) -> Iterator[Callable[[str, int, int], None]]:
    """Bars on stderr: replies with their rate and what they cost so far, verdicts with the pass rate so far."""
    from ._progress import stage_progress

    seen: dict[str, tuple[int, int]] = {}
    began: dict[str, tuple[float, int]] = {}

    def note(stage: str) -> str:
        if stage == "verified":
            passed, judged = seen.get("passed", (0, 0))
            return f"{passed / judged:.0%} pass" if judged else ""
        start, before = began[stage]
        seconds = time.monotonic() - start
        rate = f"{(seen[stage][0] - before) / seconds:.1f}/s" if seconds > 1 else ""
        return ", ".join(part for part in (rate, spent(teachers)) if part)

    with stage_progress("Traces", STAGES, note) as draw:

        def report(stage: str, done: int, total: int) -> None:
            seen[stage] = done, total
            began.setdefault(stage, (time.monotonic(), done))
            draw(stage, done, total)

        yield report


def command_line(source: Source, teachers: Sequence[str], asking: Asking, decontaminate: Sequence[str]) -> str:
    """The command that makes the data set again, with file names instead of paths.

    What changes no reply (prices, limits, concurrency, workers) and the address of an endpoint are left out.
    """

    def bare(value: str, separator: str) -> str:
        head, found, path = value.partition(separator)
        return f"{head}{found}{Path(path).name}" if found else value

    name = Path(source.name).name if "." in source.name else source.name
    usual = Asking()
    options: list[tuple[str, Any, Any]] = [
        ("--problems", name, None),
        ("--problems-file", source.file.name if source.file else None, None),
        ("--split", source.split, None),
        ("--revision", source.revision, None),
        ("--limit", source.limit, None),
        *(("--teacher", served_name(bare(spec, ":")), None) for spec in teachers),
        ("--teacher-revision", asking.revision, None),
        ("--teacher-name", asking.teacher_name, None),
        ("--provider", asking.provider, None),
        ("--recipes", ",".join(asking.recipes), ""),
        ("--recipe-folder", asking.recipe_folder.name if asking.recipe_folder else None, None),
        *(
            ("--temperature", value, None)
            for value in asking.temperatures
            if asking.temperatures != usual.temperatures
        ),
        ("--max-new-tokens", asking.max_new_tokens, usual.max_new_tokens),
        ("--seed", asking.seed, usual.seed),
        *(("--decontaminate", bare(spec, "="), None) for spec in decontaminate),
        ("--out", "traces", None),
    ]
    parts = ["structdistill traces"]
    parts += [shlex.join((option, str(value))) for option, value, without in options if value not in (None, without)]
    return " \\\n    ".join(parts)


def say_result(
    collected: TraceSet,
    examples: Sequence[Example],
    clean: Decontamination[Problem] | None,
    not_checked: dict[str, str],
    card: Path,
    left_out: Sequence[str] = (),
) -> None:
    """Pass rates, what got no reply or was `left_out` of recorded files, what was removed, and where it all lies."""
    from rich.console import Console

    console = Console()
    console.print(_table(collected))
    if collected.resumed:
        known = "1 reply was" if collected.resumed == 1 else f"{collected.resumed:,} replies were"
        console.print(f"{known} already in the journal.")
    for request, reason in collected.refused[:_LISTED]:
        console.print(f"no reply: {request.problem_id} ({request.teacher}): {reason}", markup=False)
    if len(collected.refused) > _LISTED:
        more = len(collected.refused) - _LISTED
        console.print(f"… and {some(more, 'more request')} without a reply; run again to retry them.")
    for line in left_out:
        console.print(line, markup=False, soft_wrap=True)
    if clean is not None:
        against = ", ".join(f"{name} {number}" for name, number in clean.checked_against.items()) or "no benchmark"
        console.print(f"decontamination: {len(clean.removals)} problems or traces removed; compared with {against}.")
    for name, reason in not_checked.items():
        console.print(f"decontamination: not compared with {name}: {reason}", markup=False, soft_wrap=True)
    pairs = sum(example.rejected is not None for example in examples)
    solved = len({example.problem.id for example in examples})
    made = f"{some(len(examples), 'training example')} for {some(solved, 'problem')}"
    console.print(f"{made}, {pairs} with a rejected completion.")
    console.print(f"written: {card.parent} (card: {card})", markup=False, soft_wrap=True)


def _table(collected: TraceSet) -> Any:
    from rich.table import Table

    table = Table("teacher", "recipe", "problems", "passed", "rate", "not passed")
    for row in collected.pass_rates():
        wrong = ", ".join(f"{status} {n}" for status, n in row["statuses"].items() if status != "passed")
        counts = (f"{row['passed']}/{row['replies']}", f"{row['pass_rate']:.1%}")
        table.add_row(row["teacher"], row["recipe"], row["source"], *counts, wrong or "-")
    return table
