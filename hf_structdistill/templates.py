"""Renders the Jinja templates of model_cards/."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .resources import shipped_folder


def render_template(name: str, **context: Any) -> str:
    """Render `model_cards/<name>` with `context`; a variable the template needs and lacks is an error."""
    environment = Environment(
        loader=FileSystemLoader(shipped_folder("model_cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters |= {"cell": _cell, "code": _code}
    return environment.get_template(name).render(**context)


def _cell(text: Any) -> str:
    """Text as a cell of a table shows it: one line, and none of its characters read as Markdown or HTML."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(str(text).split()))


def _code(text: Any) -> str:
    """Text as code in a cell of a table: a bar ends the cell there, too."""
    line = " ".join(str(text).split()).replace("|", "\\|").replace("`", "'")
    return f"`{line}`" if line else "–"
