"""How a teacher is asked: Jinja templates of recipes/teachers/, which a folder of the user can override."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..problems import Problem
from ..resources import shipped_folder

ASKED = ("forward", "backward")
"""Recipes of a teacher that is asked. Backward needs the problem's reference."""


def render_recipe(recipe: str, problem: Problem, folder: Path | None = None) -> str:
    """The prompt of `recipe` for `problem`.

    Args:
        folder: looked into first for `<recipe>.jinja`.

    Raises:
        InputError: no such recipe, or the template is broken.
    """
    import jinja2

    folders = [*([folder] if folder else []), shipped_folder("recipes") / "teachers"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a prompt, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.get_template(f"{recipe}.jinja").render(problem=problem).strip()
    except jinja2.TemplateNotFound:
        raise InputError(f"Expected a recipe out of {', '.join(ASKED)}, found '{recipe}'.") from None
    except jinja2.TemplateError as error:
        raise InputError(f"Expected recipe '{recipe}.jinja' to render, found: {error}; mend the template.") from None
