"""Files that are replaced in one step: a reader, or the next run after a kill, sees the old one or the new one."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make the file beside `path`, under a name of this process' own, then put it in place."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write(partial)
    os.replace(partial, path)


def replace_text(path: Path, text: str) -> None:
    """Put `text` (UTF-8) in the place of a file; lone surrogates, which programs and replies can hold, as escapes."""
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8", errors="backslashreplace"))


def unpacked_text(data: bytes, path: Path) -> str:
    """What the bytes of the file at `path` say in UTF-8, unpacked where its name ends in .gz; ValueError: damaged.

    A byte order mark, which Windows' tools write, is left out.
    """
    try:
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def encodable(value: Any) -> Any:
    """`value` with the lone surrogates of its strings, in dicts and lists too, written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value
