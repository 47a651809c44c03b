"""Python source as HTML with token classes. Everything is escaped: the source comes from models."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Any

from markupsafe import Markup

_CLASSES = (("Comment", "c"), ("Keyword", "k"), ("String", "s"), ("Number", "n"), ("Function", "f"), ("Builtin", "b"))


@lru_cache(maxsize=1)
def _lexer() -> Any:
    from pygments.lexers.python import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)


def code_html(source: str) -> Markup:
    """Escape `source` and wrap its keywords, strings, … in spans."""
    parts = []
    for kind, text in _lexer().get_tokens(source):
        name = str(kind)
        style = next((style for word, style in _CLASSES if f".{word}" in name), None)
        safe = escape(text)
        parts.append(f'<span class="{style}">{safe}</span>' if style else safe)
    return Markup("".join(parts))
