"""Teachers named on the command line, and the estimate before anything is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..problems import Problem
    from ..teachers import Teacher
    from ..teachers.limits import Budget

ASK_ABOVE = 5.0  # in the currency of the prices


@dataclass(frozen=True)
class Asking:
    """How teachers are asked: the options of `structdistill traces` that are about them."""

    recipes: tuple[str, ...] = ()
    recipe_folder: Path | None = None
    base_url: str | None = None
    provider: str | None = None
    revision: str | None = None
    teacher_name: str | None = None
    temperatures: tuple[float, ...] = (0.2,)
    max_new_tokens: int = 2048
    seed: int = 0
    concurrency: int = 32
    max_tokens_total: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0


def make_teachers(specs: Sequence[str], asking: Asking) -> list[Teacher]:
    """`scripted`, `recorded:FILE`, `local:MODEL`, or the id of a model behind an endpoint; all share one budget.

    Raises:
        InputError: no such teacher, one named twice, options that do not suit it, or a limit on the cost without
            prices.
    """
    from ..teachers.limits import Budget
    from ..teachers.recipes import check_recipes

    if asking.max_cost is not None and not (asking.price_in or asking.price_out):
        raise InputError(
            f"Expected --price-in or --price-out beside --max-cost {asking.max_cost:g}, found neither: without prices "
            "nothing costs anything. Give the prices of a million tokens, or --max-tokens-total."
        )
    budget = Budget(asking.max_tokens_total, asking.max_cost, asking.price_in, asking.price_out)
    if asking.recipes:  # the name first: a slip of the pen is not an option in the wrong place
        check_recipes(asking.recipes, "--recipes")
    _refuse_repeated(specs)
    _refuse_unread(specs, asking)
    labels = _labels(specs)
    return [_teacher(spec, asking, budget, labels.get(spec)) for spec in specs]


def _labels(specs: Sequence[str]) -> dict[str, str]:
    """How cards name models that are given by a path: by its last part, and more of it where two end alike."""
    from ..evaluation.session import model_labels

    paths = {spec: spec for spec in specs if spec.startswith(("/", ".", "~"))}
    for spec in specs:
        kind, _, folder = spec.partition(":")
        if kind == "local" and Path(folder).is_dir():
            paths[spec] = str(Path(folder).resolve())
    return dict(zip(paths, model_labels(list(paths.values())), strict=True)) if paths else {}


def _refuse_repeated(specs: Sequence[str]) -> None:
    seen: set[str] = set()
    for spec in specs:
        kind, colon, path = spec.partition(":")
        same = f"{kind}:{Path(path).resolve()}" if colon and Path(path).exists() else spec
        if same in seen:
            raise InputError(
                f"Expected each --teacher once, found '{spec}' twice: its replies would be paid and counted twice. "
                "For more samples give --temperature several times."
            )
        seen.add(same)


def left_out(teachers: Sequence[Teacher]) -> list[str]:
    """What of recorded files is in no trace, a line for each reason."""
    from ..teachers import RecordedTeacher

    return [line for teacher in teachers if isinstance(teacher, RecordedTeacher) for line in teacher.left_out()]


def _refuse_unread(specs: Sequence[str], asking: Asking) -> None:
    """An option that none of the teachers reads is a misunderstanding: better said before the run than after it."""
    kinds = {"scripted" if spec == "scripted" else spec.partition(":")[0] for spec in specs}
    models, endpoints = kinds - {"scripted", "recorded"}, kinds - {"scripted", "recorded", "local"}
    usual = Asking()
    readers = {
        "--recipes": (asking.recipes, kinds - {"scripted"}),
        "--recipe-folder": (asking.recipe_folder, models),
        "--teacher-revision": (asking.revision, models),
        "--teacher-name": (asking.teacher_name, kinds & {"recorded"}),
        "--temperature": (asking.temperatures != usual.temperatures, models),
        "--max-new-tokens": (asking.max_new_tokens != usual.max_new_tokens, models),
        "--seed": (asking.seed != usual.seed, models),
        "--base-url": (asking.base_url, endpoints),
        "--provider": (asking.provider, endpoints),
        "--concurrency": (asking.concurrency != usual.concurrency, endpoints),
        "--max-tokens-total": (asking.max_tokens_total is not None, endpoints),
        "--max-cost": (asking.max_cost is not None, endpoints),
    }
    for option, (given, read_by) in readers.items():
        if given and not read_by:
            raise InputError(
                f"{option} is given, but no teacher here reads it (found --teacher {', '.join(specs)}); leave it out, "
                "or name a teacher that does."
            )


def _teacher(spec: str, asking: Asking, budget: Budget, label: str | None) -> Teacher:
    from ..teachers import RecordedTeacher, ScriptedTeacher
    from ..teachers.recorded import RECIPES

    kind, _, rest = spec.partition(":")
    if spec == "scripted":
        return ScriptedTeacher()
    if kind == "recorded" and rest:
        given = tuple(recipe for recipe in asking.recipes if recipe != "repair")  # nobody is there to ask again
        if asking.recipes and not given:
            raise InputError(f"Expected --recipes forward or backward for '{spec}', found repair; nobody is asked.")
        return RecordedTeacher(rest, label=asking.teacher_name, recipes=given if asking.recipes else RECIPES)
    if kind == "local" and rest:
        return _local(rest, asking, label)
    if asking.base_url is None and spec.count("/") != 1:
        raise InputError(
            f"Expected --teacher scripted, recorded:FILE, local:MODEL or a model id (owner/name), found '{spec}'."
        )
    return _endpoint(spec, asking, budget, label)


def _local(model: str, asking: Asking, label: str | None) -> Teacher:
    from ..teachers.local import TransformersTeacher

    return TransformersTeacher(
        model,
        label=label,
        revision=asking.revision,
        recipes=asking.recipes or ("forward",),
        recipe_folder=asking.recipe_folder,
        temperatures=asking.temperatures,
        max_tokens=asking.max_new_tokens,
        seed=asking.seed,
    )


def _endpoint(model: str, asking: Asking, budget: Budget, label: str | None) -> Teacher:
    from ..teachers.inference import InferenceTeacher, check_address

    if asking.base_url is not None:
        check_address(asking.base_url, "--base-url")
    return InferenceTeacher(
        model,
        label=label,
        base_url=asking.base_url,
        provider=asking.provider,
        revision=asking.revision,
        recipes=asking.recipes or ("forward",),
        recipe_folder=asking.recipe_folder,
        temperatures=asking.temperatures,
        max_tokens=asking.max_new_tokens,
        seed=asking.seed,
        concurrency=asking.concurrency,
        budget=budget,
    )


def some(number: int, noun: str) -> str:
    """How many of what, for a sentence."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def spent(teachers: Sequence[Teacher]) -> str:
    """Tokens and money that were used so far, for the progress bar; empty where nothing is paid."""
    budgets = {id(budget): budget for teacher in teachers if (budget := getattr(teacher, "budget", None)) is not None}
    if not budgets:
        return ""
    cost = sum(budget.cost for budget in budgets.values())
    most = "up to " if any(budget.uncounted for budget in budgets.values()) else ""
    return f"{most}{sum(budget.tokens for budget in budgets.values()):,} tokens" + (f", {cost:,.2f}" if cost else "")


def confirm_cost(problems: Sequence[Problem], teachers: Sequence[Teacher], out: Path, yes: bool) -> None:
    """Say what the open requests and their repairs can cost at most, and ask where that is much. Nothing was sent yet.

    Raises:
        InputError: the answer is no, or there is nobody to ask.
    """
    from ..teachers import Journal
    from ..teachers.estimate import estimate
    from ..teachers.inference import InferenceTeacher

    paid = [teacher for teacher in teachers if isinstance(teacher, InferenceTeacher)]
    if not paid:
        return
    with Journal(out / "journal.jsonl") as journal:
        most = estimate(problems, paid, journal)
    priced = f", {most.cost:,.2f} at the given prices" if most.cost else ""
    repairs = f" and up to {some(most.repairs, 'repair')}" if most.repairs else ""
    tokens = f"{most.tokens:,} tokens{priced}"
    typer.echo(f"{some(most.requests, 'request')}{repairs} to send; they can use at most {tokens}.", err=True)
    limits = [teacher.budget.max_cost for teacher in paid if teacher.budget.max_cost is not None]
    if yes or min([most.cost, *limits]) <= ASK_ABOVE:
        return
    try:
        go_on = typer.confirm("Go on?", err=True)
    except typer.Abort:  # nobody there to answer
        go_on = False
    if not go_on:
        raise InputError("Nothing was sent. Lower --limit or --max-cost, or say --yes.")
