"""Renders the Jinja templates of model_cards/."""

from __future__ import annotations

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
    return environment.get_template(name).render(**context)
