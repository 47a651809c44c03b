"""Files that are replaced in one step: a reader, or the next run after a kill, sees the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make the file beside `path`, under a name of this process' own, then put it in place."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write(partial)
    os.replace(partial, path)


def replace_text(path: Path, text: str) -> None:
    """Put `text` (UTF-8) in the place of a file."""
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))
