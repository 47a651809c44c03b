"""The options of `structdistill traces`, by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_PROBLEMS = "Problems"
_TEACHERS = "Teachers"
_BUDGET = "Budget"
_RUN = "Run"

Problems = Annotated[
    str,
    typer.Option(
        help="Benchmark (mbpp, mbpp_plus, humaneval, seed, listops, generated), or a .jsonl/.parquet file.",
        rich_help_panel=_PROBLEMS,
    ),
]
ProblemsFile = Annotated[
    Path | None, typer.Option(help="Read the benchmark from this file, not the Hub.", rich_help_panel=_PROBLEMS)
]
Split = Annotated[
    str | None, typer.Option(help="Official split; the training split by default.", rich_help_panel=_PROBLEMS)
]
Revision = Annotated[str | None, typer.Option(help="Revision of the benchmark on the Hub.", rich_help_panel=_PROBLEMS)]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many problems.", rich_help_panel=_PROBLEMS)]
Decontaminate = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=FILE: compare with this benchmark, read from a file. Or none. Repeatable.",
        rich_help_panel=_PROBLEMS,
    ),
]

Teachers = Annotated[
    list[str],
    typer.Option(help="scripted, recorded:FILE, local:MODEL, or a model id. Repeatable.", rich_help_panel=_TEACHERS),
]
Recipes = Annotated[
    str,
    typer.Option(
        help="Out of forward, backward, repair; by default forward, and all of a recorded file.",
        rich_help_panel=_TEACHERS,
    ),
]
RecipeFolder = Annotated[
    Path | None, typer.Option(help="Your own templates, <recipe>.jinja.", rich_help_panel=_TEACHERS)
]
BaseUrl = Annotated[
    str | None, typer.Option(help="OpenAI-compatible endpoint of a model teacher.", rich_help_panel=_TEACHERS)
]
Provider = Annotated[
    str | None, typer.Option(help="Inference Provider of a model teacher.", rich_help_panel=_TEACHERS)
]
TeacherRevision = Annotated[
    str | None, typer.Option(help="Commit of the model, where known.", rich_help_panel=_TEACHERS)
]
TeacherName = Annotated[
    str | None, typer.Option(help="Who wrote recorded replies, for rows and card.", rich_help_panel=_TEACHERS)
]
Temperatures = Annotated[
    list[float] | None, typer.Option(min=0.0, help="One sample for each. Repeatable.", rich_help_panel=_TEACHERS)
]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Of one reply.", rich_help_panel=_TEACHERS)]
Seed = Annotated[int, typer.Option(help="Of the first sample.", rich_help_panel=_TEACHERS)]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at most.", rich_help_panel=_TEACHERS)]

MaxTokensTotal = Annotated[
    int | None, typer.Option(min=1, help="Stop before more tokens are used.", rich_help_panel=_BUDGET)
]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0.0, help="Stop before more is spent, at --price-in/--price-out.", rich_help_panel=_BUDGET),
]
PriceIn = Annotated[float, typer.Option(min=0.0, help="Price of a million prompt tokens.", rich_help_panel=_BUDGET)]
PriceOut = Annotated[
    float, typer.Option(min=0.0, help="Price of a million completion tokens.", rich_help_panel=_BUDGET)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before spending.", rich_help_panel=_BUDGET)]

Out = Annotated[Path, typer.Option(help="Folder of the data set and of the journal.", rich_help_panel=_RUN)]
ExportRequests = Annotated[
    Path | None,
    typer.Option(
        help="Write a request file for a batch API and stop; recorded:FILE reads its replies.", rich_help_panel=_RUN
    ),
]
Shard = Annotated[
    str | None, typer.Option(help="i/n, i from 0: only this part of the problems.", rich_help_panel=_RUN)
]
Merge = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of a shard: take its replies and verdicts. Repeatable.", rich_help_panel=_RUN),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes of the sandbox.", rich_help_panel=_RUN)]
