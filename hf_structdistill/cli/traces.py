"""`structdistill traces`: ask teachers, verify their replies, write a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import InputError
from . import _traces_options as options
from ._teachers import Asking, confirm_cost, left_out, make_teachers, some
from ._traces_problems import Source, make_guard, part_of
from ._traces_report import command_line, progress_bars, say_result

if TYPE_CHECKING:
    from ..problems import Problem
    from ..teachers import Teacher, TraceSet

HELP = """Make a data set of verified traces: problems in, teacher replies run against the tests, Parquet and card out.

Teachers: `scripted` (listops, generated and seed problems), `recorded:FILE` (replies in JSON lines), `local:MODEL`
(transformers on this machine), or the id of a model, asked through Inference Providers or at --base-url.
--teacher may be given several times. After an interruption the same command goes on where it stopped, and pays for
nothing twice.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("traces", help=HELP)(traces)


def traces(
    problems: options.Problems,
    teacher: options.Teachers,
    out: options.Out,
    problems_file: options.ProblemsFile = None,
    split: options.Split = None,
    revision: options.Revision = None,
    limit: options.Limit = None,
    recipes: options.Recipes = "",
    recipe_folder: options.RecipeFolder = None,
    base_url: options.BaseUrl = None,
    provider: options.Provider = None,
    teacher_revision: options.TeacherRevision = None,
    teacher_name: options.TeacherName = None,
    temperature: options.Temperatures = None,
    max_new_tokens: options.MaxNewTokens = 2048,
    seed: options.Seed = 0,
    concurrency: options.Concurrency = 32,
    max_tokens_total: options.MaxTokensTotal = None,
    max_cost: options.MaxCost = None,
    price_in: options.PriceIn = 0.0,
    price_out: options.PriceOut = 0.0,
    yes: options.Yes = False,
    decontaminate: options.Decontaminate = None,
    export_requests: options.ExportRequests = None,
    shard: options.Shard = None,
    merge: options.Merge = None,
    workers: options.Workers = None,
) -> None:
    source = Source(problems, problems_file, split, revision, limit)
    asking = Asking(
        recipes=tuple(name.strip() for name in recipes.split(",") if name.strip()),
        recipe_folder=recipe_folder,
        base_url=base_url,
        provider=provider,
        revision=teacher_revision,
        teacher_name=teacher_name,
        temperatures=tuple(temperature or (0.2,)),
        max_new_tokens=max_new_tokens,
        seed=seed,
        concurrency=concurrency,
        max_tokens_total=max_tokens_total,
        max_cost=max_cost,
        price_in=price_in,
        price_out=price_out,
    )
    run = _Run(out, decontaminate or [], export_requests, shard, merge or [], yes, workers)
    _make(source, teacher, asking, run)


@dataclass(frozen=True)
class _Run:
    """The options about the run itself."""

    out: Path
    compare: Sequence[str]
    export: Path | None
    shard: str | None
    merge: Sequence[Path]
    yes: bool
    workers: int | None


def _make(source: Source, specs: Sequence[str], asking: Asking, run: _Run) -> None:
    """Problems to traces to examples to a folder."""
    from ..hub.datasets import check_data_folder, write_trace_dataset
    from ..teachers import merge_journals, select_examples

    loaded = source.load()
    teachers = make_teachers(specs, asking)
    guard = make_guard(loaded, source, run.compare)
    kept, clean = guard.clean(part_of(loaded, run.shard))
    if not kept:
        raise InputError(f"All {len(loaded)} problems were removed by decontamination; give others.")
    if run.export is not None:
        _export(run.export, teachers, kept)
        return
    check_data_folder(run.out)  # before anything is paid for
    if run.merge:
        typer.echo(f"{merge_journals(run.out, run.merge):,} replies and verdicts taken over.", err=True)
    confirm_cost(kept, teachers, run.out, run.yes)
    collected = _collect(source, kept, specs, teachers, run)
    traces, clean = guard.clean(collected.traces, clean)
    collected = replace(collected, traces=traces)
    examples = select_examples(collected.traces, collected.problems)
    card = write_trace_dataset(
        run.out,
        collected,
        examples,
        title=source.title,
        command=command_line(source, specs, asking, run.compare),
        decontamination=clean,
        not_checked=guard.not_checked,
    )
    say_result(collected, examples, clean, guard.not_checked, card, left_out(teachers))


def _export(path: Path, teachers: Sequence[Teacher], problems: Sequence[Problem]) -> None:
    from ..teachers.batch import write_requests

    requests = [request for teacher in teachers for problem in problems for request in teacher.requests(problem)]
    model = getattr(teachers[0], "model", None)
    typer.echo(f"{some(write_requests(path, requests, model=model), 'request')} written: {path}")


def _collect(
    source: Source, problems: list[Problem], specs: Sequence[str], teachers: Sequence[Teacher], run: _Run
) -> TraceSet:
    from ..teachers import collect_traces

    with progress_bars(teachers) as progress:
        collected = collect_traces(problems, teachers, run.out, workers=run.workers, progress=progress)
    if not collected.traces:
        raise InputError(
            f"Expected at least one reply to {some(len(problems), 'problem')} of '{source.name}', found none"
            + " ".join([_why(collected, specs), *left_out(teachers)])
        )
    return collected


def _why(collected: TraceSet, specs: Sequence[str]) -> str:
    """Why there is no reply: what was said instead, the most frequent first, or that nothing was asked."""
    if not collected.refused:
        first = next(iter(collected.problems))
        return f"; does the teacher ({', '.join(specs)}) answer these problems (ids such as '{first}')?"
    said = Counter(reason for _, reason in collected.refused).most_common(3)
    reasons = "; ".join(f"{reason} ({some(count, 'request')})" for reason, count in said)
    return f": {reasons}. Mend what is said there and run the same command again."
