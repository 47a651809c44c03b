"""Languages by name. A language is one file here: a table of node types, and functions for what no table can say."""

from __future__ import annotations

import importlib

from ...errors import InputError
from .language import ERROR_KIND, Language

LANGUAGES = ("go", "java", "javascript", "python", "rust")

_ALIASES = {
    "golang": "go",
    "js": "javascript",
    "node": "javascript",
    "py": "python",
    "python3": "python",
    "rs": "rust",
}

_loaded: dict[str, Language] = {}


def get_language(name: str | Language) -> Language:
    """The language called `name`, or by one of its fence names ("py", "js").

    Raises InputError where the language is unknown, or its grammar package is not installed.
    """
    if isinstance(name, Language):
        return name
    found = _loaded.get(name)
    return found if found is not None else _load(name)


def _load(name: str) -> Language:
    canonical = _ALIASES.get(name.lower(), name.lower())
    if canonical not in LANGUAGES:
        raise InputError(f"expected a language among {', '.join(LANGUAGES)}, got {name!r}")
    language: Language = importlib.import_module(f".{canonical}", __name__).LANGUAGE
    _ = language.grammar  # a missing grammar package is reported here, not at the first parse
    _loaded[name] = language
    return language


__all__ = ["ERROR_KIND", "LANGUAGES", "Language", "get_language"]
