"""`structdistill traces`: ask teachers, verify their replies, write a data set."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..problems import Problem
    from ..problems.decontamination import Decontamination
    from ..teachers import Example, Teacher, TraceSet

Item = TypeVar("Item")

GUARDED = ("mbpp", "mbpp_plus", "humaneval")
"""Benchmarks whose test problems must not come back in the data."""

HELP = """Make a data set of verified traces: problems in, teacher replies run against the tests, Parquet and card out.

Teachers: `scripted` (listops and seed problems), `recorded:FILE` (replies in JSON lines). Give --teacher several
times for several. After an interruption the same command goes on where it stopped.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("traces", help=HELP)(traces)


def traces(
    problems: Annotated[
        str, typer.Option(help="Benchmark (mbpp, mbpp_plus, humaneval, seed, listops), or a .jsonl/.parquet file.")
    ],
    teacher: Annotated[list[str], typer.Option(help="scripted, or recorded:FILE. Repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set and of the journal.")],
    problems_file: Annotated[Path | None, typer.Option(help="Read the benchmark from this file, not the Hub.")] = None,
    split: Annotated[str | None, typer.Option(help="Official split; the training split by default.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of the benchmark on the Hub.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many problems.")] = None,
    recipes: Annotated[str, typer.Option(help="Which recipes of a recorded file to use.")] = "backward,forward",
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: compare with this benchmark, read from a file. Or none. Repeatable."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the sandbox.")] = None,
) -> None:
    from ..hub.datasets import write_trace_dataset
    from ..teachers import collect_traces, select_examples

    asked = _load(problems, problems_file, split, revision, limit)
    teachers = [_teacher(spec, recipes) for spec in teacher]
    guard = _guard(asked, problems, problems_file, decontaminate or [])
    kept, clean = guard.clean(asked)
    if not kept:
        raise InputError(f"All {len(asked)} problems were removed by decontamination; give others.")
    with _Bars() as progress:
        collected = collect_traces(kept, teachers, out, workers=workers, progress=progress)
    if not collected.traces:
        raise InputError(
            f"Expected at least one reply to the {len(kept)} problems of '{problems}', found none; "
            f"does the teacher ({', '.join(teacher)}) answer these problems (ids such as '{kept[0].id}')?"
        )
    clean_traces, clean = guard.clean(collected.traces, clean)
    collected = replace(collected, traces=clean_traces)
    examples = select_examples(collected.traces, collected.problems)
    card = write_trace_dataset(
        out,
        collected,
        examples,
        title=f"Verified reasoning traces: {', '.join(sorted({problem.source for problem in kept}))}",
        command=_command(problems, teacher, problems_file, split, limit, recipes, decontaminate or []),
        decontamination=clean,
        not_checked=guard.not_checked,
    )
    _report(collected, examples, clean, guard.not_checked, card)


def _load(name: str, path: Path | None, split: str | None, revision: str | None, limit: int | None) -> list[Problem]:
    from ..problems import BENCHMARKS, load_problems

    if split is None and name in BENCHMARKS and "train" in BENCHMARKS[name].splits:
        split = "train"
    return load_problems(name, split=split, path=path, revision=revision, limit=limit)


def _teacher(spec: str, recipes: str) -> Teacher:
    from ..teachers import RecordedTeacher, ScriptedTeacher

    kind, _, rest = spec.partition(":")
    if spec == "scripted":
        return ScriptedTeacher()
    if kind == "recorded" and rest:
        return RecordedTeacher(rest, recipes=[name.strip() for name in recipes.split(",") if name.strip()])
    raise InputError(f"Expected --teacher scripted or recorded:FILE, found '{spec}'.")


@dataclass(frozen=True)
class _Guard:
    """Test problems that must not come back in the data, and the benchmarks that could not be compared, with why."""

    problems: list[Problem]
    not_checked: dict[str, str]

    def clean(
        self, items: list[Item], before: Decontamination[Any] | None = None
    ) -> tuple[list[Item], Decontamination[Any] | None]:
        """What stays of `items`; the report goes on from `before`. Without problems to compare with, all stays."""
        from ..problems import decontaminate

        if not self.problems:
            return items, before
        found = decontaminate(items, self.problems)
        removals = [*(before.removals if before else ()), *found.removals]
        return found.kept, replace(found, removals=removals)


def _guard(asked: Sequence[Problem], name: str, path: Path | None, options: Sequence[str]) -> _Guard:
    """Test problems of the guarded benchmarks, from files where given, else from the Hub if the problems came from it.

    Problems that are themselves of a test split are not compared: their traces are for study.
    """
    from ..problems import load_problems

    if "none" in options:
        return _Guard([], {"any benchmark": "switched off by --decontaminate none."})
    if any(problem.split == "test" for problem in asked):
        return _Guard([], {"any benchmark": "problems of a test split are traced for study and never trained on."})
    files = _files(options)
    if path is not None and name in GUARDED:
        files.setdefault(name, path)
    from_hub = path is None and name in GUARDED
    guarded: list[Problem] = []
    not_checked = {}
    for benchmark in dict.fromkeys([*GUARDED, *files]):
        if benchmark not in files and not from_hub:
            not_checked[benchmark] = f"no file was given (--decontaminate {benchmark}=FILE)."
            continue
        try:
            guarded += load_problems(benchmark, split="test", path=files.get(benchmark))
        except InputError as error:
            if benchmark in files:
                raise
            not_checked[benchmark] = str(error)
    return _Guard(guarded, not_checked)


def _files(options: Sequence[str]) -> dict[str, Path]:
    from ..problems import BENCHMARKS

    files = {}
    for option in options:
        benchmark, equals, file = option.partition("=")
        if not equals or benchmark not in BENCHMARKS:
            raise InputError(f"Expected --decontaminate NAME=FILE (e.g. humaneval=…) or none, found '{option}'.")
        files[benchmark] = Path(file)
    return files


class _Bars:
    """Progress bars on stderr, one a stage; plain silence where stderr is no terminal."""

    _LABELS = {"replies": "replies", "verified": "verdicts"}

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, Remaining(), console=Console(stderr=True))
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(self._LABELS.get(stage, stage), total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)


def _command(
    problems: str,
    teachers: Sequence[str],
    problems_file: Path | None,
    split: str | None,
    limit: int | None,
    recipes: str,
    decontaminate: Sequence[str],
) -> str:
    """The command line with file names instead of paths."""

    def bare(value: str, separator: str) -> str:
        head, found, path = value.partition(separator)
        return f"{head}{found}{Path(path).name}" if found else value

    parts = ["structdistill", "traces", "--problems", Path(problems).name if "." in problems else problems]
    if problems_file is not None:
        parts += ["--problems-file", problems_file.name]
    for option, value in (("--split", split), ("--limit", limit)):
        if value is not None:
            parts += [option, str(value)]
    for spec in teachers:
        parts += ["--teacher", bare(spec, ":")]
    if recipes != "backward,forward":
        parts += ["--recipes", recipes]
    for spec in decontaminate:
        parts += ["--decontaminate", bare(spec, "=")]
    return shlex.join([*parts, "--out", "traces"])


def _report(
    collected: TraceSet,
    examples: Sequence[Example],
    clean: Decontamination[Problem] | None,
    not_checked: dict[str, str],
    card: Path,
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("teacher", "recipe", "problems", "passed", "rate", "not passed")
    for row in collected.pass_rates():
        wrong = ", ".join(f"{status} {n}" for status, n in row["statuses"].items() if status != "passed")
        counts = (f"{row['passed']}/{row['replies']}", f"{row['pass_rate']:.1%}")
        table.add_row(row["teacher"], row["recipe"], row["source"], *counts, wrong or "-")
    console = Console()
    console.print(table)
    if collected.resumed:
        console.print(f"{collected.resumed} replies were already in the journal.")
    for request, reason in collected.refused[:20]:
        console.print(f"no reply: {request.problem_id} ({request.teacher}): {reason}", markup=False)
    if len(collected.refused) > 20:
        console.print(f"… and {len(collected.refused) - 20} more requests without a reply; run again to retry them.")
    if clean is not None:
        against = ", ".join(f"{name} {number}" for name, number in clean.checked_against.items()) or "no benchmark"
        console.print(f"decontamination: {len(clean.removals)} problems or traces removed; compared with {against}.")
    for name, reason in not_checked.items():
        console.print(f"decontamination: not compared with {name}: {reason}", markup=False, soft_wrap=True)
    pairs = sum(example.rejected is not None for example in examples)
    solved = len({example.problem.id for example in examples})
    console.print(f"{len(examples)} training examples for {solved} problems, {pairs} with a rejected completion.")
    console.print(f"written: {card.parent} (card: {card})", markup=False, soft_wrap=True)
