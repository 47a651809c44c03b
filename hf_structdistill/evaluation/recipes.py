"""Prompt recipes: Jinja templates of recipes/prompts/, or a file of the user, that put a problem to a student.

A template sees `problem`, `text` and `tests` (its task, and the tests it shows, apart), `student_prompt` (what a
student is trained on) and `examples` (solved tasks: `id`, `text`, `tests`, `code`; asked for, they are loaded). It may
set, at its top level:

    reads   how code is found in a completion, see [`read_code`]: "answer" (the default), "code" or "continues"
    stop    strings that end a completion; by default, the line that closes the first fenced block ends an "answer"
    format  "plain" or "chat", where only one makes sense
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta

from ..errors import InputError
from ..problems import load_problems
from ..problems.problem import Problem
from ..problems.prompting import student_prompt
from ..resources import shipped_folder
from .completion import READS
from .samples import text_hash

SHOTS = (2, 3, 4)
"""Tasks of MBPP's prompt split that its 3-shot format shows."""
_TESTS_FOLLOW = "\n\nYour code should pass these tests:\n\n"  # as problems.benchmarks writes MBPP's prompts


@dataclass(frozen=True)
class RenderedPrompt:
    """One problem as a recipe puts it. `format` is None where the recipe leaves it to the student."""

    text: str
    reads: str = "answer"
    stop: tuple[str, ...] = ()
    format: str | None = None


@dataclass(frozen=True)
class PromptRecipe:
    """A template by its name in reports, and the solved tasks it shows, if any."""

    name: str
    source: str
    examples: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @cached_property
    def template(self) -> jinja2.Template:
        return _environment().from_string(self.source)

    @property
    def needs_examples(self) -> bool:
        return "examples" in meta.find_undeclared_variables(_environment().parse(self.source))

    def render(self, problem: Problem) -> RenderedPrompt:
        """Put `problem` to a student.

        Raises:
            InputError: the template fails, or sets something this module does not know.
        """
        text, tests = task_and_tests(problem)
        known = {"problem": problem, "text": text, "tests": tests, "student_prompt": student_prompt(problem)}
        try:
            module = self.template.make_module({**known, "examples": self.examples})
        except jinja2.TemplateError as error:
            raise InputError(f"Expected prompt recipe '{self.name}' to render, found: {error}; mend it.") from None
        stop = getattr(module, "stop", ())
        rendered = RenderedPrompt(
            str(module),
            getattr(module, "reads", "answer"),
            (stop,) if isinstance(stop, str) else tuple(stop),
            getattr(module, "format", None),
        )
        self._check(rendered)
        return rendered

    def facts(self) -> dict[str, Any]:
        """What results.json says: name, hash of the template, and which solved tasks were shown (and their hash)."""
        shown = {"shots": [example["id"] for example in self.examples]} if self.examples else {}
        if self.examples:
            shown["shots_sha256"] = text_hash("\n".join(str(sorted(e.items())) for e in self.examples))
        return {"recipe": self.name, "sha256": text_hash(self.source), **shown}

    def _check(self, rendered: RenderedPrompt) -> None:
        for name, value, allowed in (
            ("reads", rendered.reads, READS),
            ("format", rendered.format, ("plain", "chat", None)),
        ):
            if value not in allowed:
                choices = ", ".join(f'"{choice}"' for choice in allowed if choice)
                raise InputError(f"Expected prompt recipe '{self.name}' to set {name} to {choices}; found {value!r}.")
        if not rendered.text.strip():
            raise InputError(f"Expected prompt recipe '{self.name}' to give a text, found none; mend the template.")


def load_recipe(name: str, *, shots_file: Path | None = None) -> PromptRecipe:
    """A recipe of the package by name, or a template of the user by its path.

    Args:
        shots_file: MBPP as a file, for recipes that show solved tasks; the Hub's by default.

    Raises:
        InputError: no such recipe or file, a template that is none, or MBPP cannot be had.
    """
    folder = shipped_folder("recipes") / "prompts"
    shipped = {path.stem: path for path in sorted(folder.glob("*.jinja"))}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise InputError(f"Expected a prompt recipe ({', '.join(shipped)}) or a Jinja file, found '{name}'.")
    try:
        recipe = PromptRecipe(path.stem if name in shipped else path.name, path.read_text(encoding="utf-8"))
        needs_examples = recipe.needs_examples
    except (jinja2.TemplateSyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"Expected a Jinja template in '{path.name}', found: {error}; mend it.") from None
    return PromptRecipe(recipe.name, recipe.source, _examples(shots_file)) if needs_examples else recipe


def check_shots(recipe: PromptRecipe, problems: Sequence[Problem]) -> None:
    """Refuse to ask what the prompt has just answered.

    Raises:
        InputError: a problem is one of the recipe's examples, in MBPP or as the same task of MBPP+.
    """
    shown = {example["id"].rsplit("/", 1)[-1] for example in recipe.examples}
    asked = [p.id for p in problems if p.source in ("mbpp", "mbpp_plus") and p.id.rsplit("/", 1)[-1] in shown]
    if asked:
        raise InputError(
            f"Prompt recipe '{recipe.name}' shows the solution of {', '.join(asked)}, which is to be solved; "
            "use --split test, or another --prompt."
        )


def task_and_tests(problem: Problem) -> tuple[str, list[str]]:
    """The text of a problem, and the tests its prompt shows, apart."""
    text, _, tests = problem.prompt.strip().partition(_TESTS_FOLLOW)
    return text, tests.split("\n") if tests else []


def _examples(path: Path | None) -> tuple[Mapping[str, Any], ...]:
    found = {problem.id: problem for problem in load_problems("mbpp", split="prompt", path=path)}
    missing = [number for number in SHOTS if f"mbpp/{number}" not in found]
    if missing:
        raise InputError(
            f"Expected MBPP's task {missing[0]} in '{path or 'the Hub data set'}', found none; give all of MBPP."
        )
    examples = []
    for problem in (found[f"mbpp/{number}"] for number in SHOTS):
        text, tests = task_and_tests(problem)
        examples.append({"id": problem.id, "text": text, "tests": tests, "code": (problem.reference or "").strip()})
    return tuple(examples)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a prompt, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
