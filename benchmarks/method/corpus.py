"""Python source for pretraining: the standard library and installed packages under permissive licences."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|PSF|Python Software Foundation|ISC|Zlib)\b", re.IGNORECASE)
LONGEST_FILE = 200_000  # bytes; longer ones are mostly tables


def permissive_packages() -> dict[str, str]:
    """Name -> licence of the installed distributions that may be read, by their own metadata."""
    found = {}
    for distribution in metadata.distributions():
        facts = distribution.metadata
        told = [facts.get("License-Expression"), facts.get("License"), *(facts.get_all("Classifier") or [])]
        licences = [text for text in told if text and (text in told[:2] or text.startswith("License ::"))]
        match = next((m for m in map(PERMISSIVE.search, (text[:200] for text in licences)) if m), None)
        if match and not any("GPL" in text[:200] for text in licences):
            found[facts["Name"]] = match.group(1)
    return found


def source_files() -> Iterator[Path]:
    """Python files of the standard library and of `permissive_packages`, in a fixed order, tests left out."""
    roots = [path for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py") if "site-packages" not in path.parts]
    for name in permissive_packages():
        for file in metadata.distribution(name).files or ():
            if file.suffix == ".py":
                roots.append(Path(str(file.locate())))
    for path in sorted(set(roots)):
        if not {"test", "tests", "lib2to3"}.intersection(path.parts) and path.is_file():
            if path.stat().st_size <= LONGEST_FILE:
                yield path


def documents() -> Iterator[str]:
    """Whole files, and after each file its functions that have a docstring, each in the form of a student's prompt.

    Equal texts come once.
    """
    seen: set[int] = set()
    for path in source_files():
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except (UnicodeDecodeError, SyntaxError, ValueError):
            continue
        for document in (text, *_functions(tree)):
            if hash(document) not in seen:
                seen.add(hash(document))
                yield document


def _functions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (told := ast.get_docstring(node)):
            node.body = node.body[1:] or [ast.Pass()]
            yield f"{told.strip()}\n\n```python\n{ast.unparse(node)}\n```\n"
