"""`structdistill traces`: ask teachers, verify their replies, write a data set."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..errors import InputError
from ._teachers import Asking, confirm_cost, make_teachers, spent

if TYPE_CHECKING:
    from ..problems import Problem
    from ..problems.decontamination import Decontamination
    from ..teachers import Example, Teacher, TraceSet

Item = TypeVar("Item")

GUARDED = ("mbpp", "mbpp_plus", "humaneval")
"""Benchmarks whose test problems must not come back in the data."""

HELP = """Make a data set of verified traces: problems in, teacher replies run against the tests, Parquet and card out.

Teachers: `scripted` (listops and seed problems), `recorded:FILE` (replies in JSON lines), `local:MODEL` (transformers
on this machine), or the id of a model, asked through Inference Providers or at --base-url. Give --teacher several
times for several. After an interruption the same command goes on where it stopped, and pays for nothing twice.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("traces", help=HELP)(traces)


def traces(
    problems: Annotated[
        str, typer.Option(help="Benchmark (mbpp, mbpp_plus, humaneval, seed, listops), or a .jsonl/.parquet file.")
    ],
    teacher: Annotated[
        list[str], typer.Option(help="scripted, recorded:FILE, local:MODEL, or a model id. Repeatable.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the data set and of the journal.")],
    problems_file: Annotated[Path | None, typer.Option(help="Read the benchmark from this file, not the Hub.")] = None,
    split: Annotated[str | None, typer.Option(help="Official split; the training split by default.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of the benchmark on the Hub.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many problems.")] = None,
    recipes: Annotated[
        str, typer.Option(help="forward, backward; by default forward, and both of a recorded file.")
    ] = "",
    recipe_folder: Annotated[Path | None, typer.Option(help="Your own templates, <recipe>.jinja.")] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint of a model teacher.")] = None,
    provider: Annotated[str | None, typer.Option(help="Inference Provider of a model teacher.")] = None,
    teacher_revision: Annotated[str | None, typer.Option(help="Commit of the model, where known.")] = None,
    temperature: Annotated[list[float] | None, typer.Option(help="One sample for each. Repeatable.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Of one reply.")] = 2048,
    seed: Annotated[int, typer.Option(help="Of the first sample.")] = 0,
    concurrency: Annotated[int, typer.Option(help="Requests in flight at most.")] = 32,
    max_tokens_total: Annotated[int | None, typer.Option(help="Stop before more tokens are used.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="Stop before more is spent, at --price-in/--price-out.")
    ] = None,
    price_in: Annotated[float, typer.Option(help="Price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Price of a million completion tokens.")] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before spending.")] = False,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: compare with this benchmark, read from a file. Or none. Repeatable."),
    ] = None,
    export_requests: Annotated[
        Path | None,
        typer.Option(help="Write a request file for a batch API and stop; recorded:FILE reads its replies."),
    ] = None,
    shard: Annotated[str | None, typer.Option(help="i/n, i from 0: only this part of the problems.")] = None,
    merge: Annotated[
        list[Path] | None, typer.Option(help="Folder of a shard: take its replies and verdicts. Repeatable.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the sandbox.")] = None,
) -> None:
    from ..hub.datasets import write_trace_dataset
    from ..teachers import collect_traces, merge_journals, select_examples
    from ..teachers.batch import write_requests

    asked = _load(problems, problems_file, split, revision, limit)
    asking = Asking(
        recipes=tuple(name.strip() for name in recipes.split(",") if name.strip()),
        recipe_folder=recipe_folder,
        base_url=base_url,
        provider=provider,
        revision=teacher_revision,
        temperatures=tuple(temperature or (0.2,)),
        max_new_tokens=max_new_tokens,
        seed=seed,
        concurrency=concurrency,
        max_tokens_total=max_tokens_total,
        max_cost=max_cost,
        price_in=price_in,
        price_out=price_out,
    )
    teachers = make_teachers(teacher, asking)
    guard = _guard(asked, problems, problems_file, decontaminate or [])
    kept, clean = guard.clean(_shard(asked, shard))
    if not kept:
        raise InputError(f"All {len(asked)} problems were removed by decontamination; give others.")
    if export_requests is not None:
        requests = [request for one in teachers for problem in kept for request in one.requests(problem)]
        typer.echo(f"{write_requests(export_requests, requests):,} requests written: {export_requests}")
        return
    if merge:
        typer.echo(f"{merge_journals(out, merge):,} replies and verdicts taken over.", err=True)
    confirm_cost(kept, teachers, out, yes)
    with _Bars(teachers) as progress:
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
        command=_command(problems, teacher, problems_file, split, limit, asking, decontaminate or []),
        decontamination=clean,
        not_checked=guard.not_checked,
    )
    _report(collected, examples, clean, guard.not_checked, card)


def _load(name: str, path: Path | None, split: str | None, revision: str | None, limit: int | None) -> list[Problem]:
    from ..problems import BENCHMARKS, load_problems

    if split is None and name in BENCHMARKS and "train" in BENCHMARKS[name].splits:
        split = "train"
    return load_problems(name, split=split, path=path, revision=revision, limit=limit)


def _shard(problems: list[Problem], shard: str | None) -> list[Problem]:
    """The problems of shard "i/n", by a hash of their ids: the same on every machine and for any order."""
    if shard is None:
        return problems
    index, _, count = shard.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise InputError(f"Expected --shard i/n with i from 0 to n-1, e.g. 0/4, found '{shard}'.")
    chosen = [problem for problem in problems if zlib.crc32(problem.id.encode()) % int(count) == int(index)]
    if not chosen:
        raise InputError(f"Expected problems in shard {shard}, found none among {len(problems)}; use fewer shards.")
    return chosen


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
    """Progress bars on stderr, one a stage, with what was spent; only their end where stderr is no terminal."""

    _LABELS = {"verified": "verdicts"}

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        paid = TextColumn("{task.fields[spent]}")
        self._progress = Progress(*columns, Remaining(), paid, console=Console(stderr=True))
        self._teachers = teachers
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(self._LABELS.get(stage, stage), total=total, spent="")
        used = spent(self._teachers) if stage != "verified" else ""
        self._progress.update(self._tasks[stage], completed=done, total=total, spent=used)


def _command(
    problems: str,
    teachers: Sequence[str],
    problems_file: Path | None,
    split: str | None,
    limit: int | None,
    asking: Asking,
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
    if asking.recipes:
        parts += ["--recipes", ",".join(asking.recipes)]
    plain = Asking()
    for option, value, usual in (
        ("--max-new-tokens", asking.max_new_tokens, plain.max_new_tokens),
        ("--seed", asking.seed, plain.seed),
        ("--teacher-revision", asking.revision, None),
        ("--provider", asking.provider, None),
    ):
        if value != usual:
            parts += [option, str(value)]
    if asking.temperatures != plain.temperatures:
        parts += [part for value in asking.temperatures for part in ("--temperature", str(value))]
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
