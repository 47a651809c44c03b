"""How a teacher is asked: Jinja templates of recipes/teachers/, which a folder of the user can override."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import encodable
from ..problems import Problem
from ..resources import shipped_folder
from ..sandbox.judge import TEXT
from ..sandbox.verdict import Verdict
from .base import Request
from .trace import Trace

if TYPE_CHECKING:
    import jinja2

ASKED = ("forward", "backward", "repair")
"""Recipes of a teacher that is asked. Backward needs the problem's reference, repair a failing attempt."""

WRONG = ("failed", "error", "timeout")


@dataclass(frozen=True)
class RecipeBook:
    """What a teacher is asked, and with which sampling.

    Attributes:
        teacher, revision: as requests name them.
        recipes: out of `ASKED`. "repair" asks again about each of the teacher's own forward attempts that failed.
        folder: templates that override the package's.
        temperatures: one sample for each; sample i has the seed `seed + i`.
        max_tokens: of a completion.

    Raises:
        InputError: no recipe, an unknown one, or a folder without any of their templates.
    """

    teacher: str
    revision: str | None = None
    recipes: tuple[str, ...] = ("forward",)
    folder: Path | None = None
    temperatures: tuple[float, ...] = (0.2,)
    top_p: float | None = None
    max_tokens: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        check_recipes(self.recipes)
        files = [f"{recipe}.jinja" for recipe in self.recipes]
        if self.folder is not None and not any(Path(self.folder, file).is_file() for file in files):
            raise InputError(
                f"Expected {' or '.join(files)} in the folder of recipes '{self.folder}', found none; check the path, "
                "or leave the folder out."
            )

    def requests(self, problem: Problem) -> list[Request]:
        """What is asked before anything is known."""
        return [
            self._request(problem, recipe, sample, render_recipe(recipe, problem, self.folder))
            for recipe in self.recipes
            if recipe == "forward" or (recipe == "backward" and problem.reference is not None)
            for sample in range(len(self.temperatures))
        ]

    def follow_up(self, problem: Problem, traces: Iterable[Trace]) -> list[Request]:
        """What is asked after the verdicts."""
        if "repair" not in self.recipes:
            return []
        own = {request.key for request in self.requests(problem) if request.recipe == "forward"}
        return [
            self._request(problem, "repair", trace.sample, render_recipe("repair", problem, self.folder, trace))
            for trace in traces
            if trace.key in own and trace.code  # another teacher may have the same name, e.g. replies recorded before
            if trace.verdict is not None and trace.verdict.status in WRONG
        ]

    def longest_repair(self, problem: Problem, sample: int) -> Request:
        """A stand-in for a repair before there is an attempt: all but its code, with the most that the judge says."""
        verdict = Verdict("failed", failed_test="x" * TEXT, reason="x" * TEXT)
        attempt = Trace(problem.id, self.teacher, "", "", verdict=verdict, sample=sample)
        return self._request(problem, "repair", sample, render_recipe("repair", problem, self.folder, attempt))

    def _request(self, problem: Problem, recipe: str, sample: int, prompt: str) -> Request:
        sampling = {
            "temperature": self.temperatures[sample],
            "max_tokens": self.max_tokens,
            "seed": self.seed + sample,
        }
        if self.top_p is not None:
            sampling["top_p"] = self.top_p
        # a reply cut inside an emoji, shown for its repair, need not be text that can be sent
        messages = ({"role": "user", "content": encodable(prompt)},)
        return Request(problem.id, self.teacher, recipe, messages, self.revision, sampling, sample)


def render_recipe(recipe: str, problem: Problem, folder: Path | None = None, attempt: Trace | None = None) -> str:
    """The prompt of `recipe` for `problem`; for "repair", about `attempt`.

    Args:
        folder: looked into first for `<recipe>.jinja`.

    Raises:
        InputError: no such recipe, or the template is broken.
    """
    import jinja2

    try:
        return _environment(folder).get_template(f"{recipe}.jinja").render(problem=problem, attempt=attempt).strip()
    except jinja2.TemplateNotFound:
        raise InputError(f"Expected a recipe out of {', '.join(ASKED)}, found '{recipe}'.") from None
    except jinja2.TemplateError as error:
        raise InputError(f"Expected recipe '{recipe}.jinja' to render, found: {error}; mend the template.") from None


@functools.cache
def _environment(folder: Path | None) -> jinja2.Environment:
    import jinja2

    folders = [*([folder] if folder else []), shipped_folder("recipes") / "teachers"]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a prompt, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )


def check_recipes(recipes: Sequence[str], option: str = "recipes") -> None:
    """Refuse no recipe, unknown and repeated ones; `option` is what the user gave them as."""
    unknown = [recipe for recipe in recipes if recipe not in ASKED]
    if unknown or not recipes:
        raise InputError(f"Expected {option} out of {', '.join(ASKED)}, found '{', '.join(unknown)}'.")
    if len(set(recipes)) < len(recipes):
        raise InputError(f"Expected {option} to name each recipe once, found '{', '.join(recipes)}'.")
