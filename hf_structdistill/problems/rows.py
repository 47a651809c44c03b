"""Rows of a JSON Lines, Parquet or Hub data set, with errors that name the file and the row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import unpacked_text

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RowSet:
    """Rows, where they came from (for messages), and what pins them (for cards).

    `revision` is a commit of the Hub, None for a file; `content_hash` is over the rows and the same for both.
    """

    rows: Sequence[Row]
    origin: str
    revision: str | None
    content_hash: str

    def where(self, index: int) -> str:
        """Name the row at `index`, counting from 1, as messages show it."""
        return f"{self.origin}, row {index + 1}"


def content_hash(rows: Iterable[Any]) -> str:
    """SHA-256 over rows as sorted, compact JSON lines: independent of the file format and of key order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, separators=(",", ":"), default=str).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def read_rows(path: str | Path) -> RowSet:
    """Read a `.jsonl`, `.jsonl.gz`, `.json` (a list) or `.parquet` file.

    Raises:
        InputError: the file is missing, empty, of another kind, or a row is not a JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"Expected a file at '{path}', found none; check the path.")
    if path.suffix == ".parquet":
        rows = _parquet(path)
    elif path.suffix in (".jsonl", ".json", ".gz"):
        rows = _json_lines(path)
    else:
        raise InputError(f"Expected a .jsonl, .jsonl.gz, .json or .parquet file, found '{path}'; convert it.")
    if not rows:
        raise InputError(f"Expected at least one row in '{path}', found an empty file; check how it was written.")
    return RowSet(rows, str(path), None, content_hash(rows))


def _json_lines(path: Path) -> list[Row]:
    raw = path.read_bytes()
    try:
        text = unpacked_text(raw, path)
    except ValueError as error:
        raise InputError(f"Expected UTF-8 JSON lines in '{path}', found {error}; save it again as UTF-8.") from None
    if path.suffix == ".json":
        return _json_list(path, text)
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand inside a JSON string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"Expected one JSON object a line in '{path}', line {number}: {error.msg} at column {error.colno}; "
                "mend or drop the line."
            ) from None
        if not isinstance(row, dict):
            raise InputError(
                f"Expected a JSON object in '{path}', line {number}, found {type(row).__name__}; write one "
                'object a line, e.g. {"prompt": …, "tests": […]}.'
            )
        rows.append(row)
    return rows


def _json_list(path: Path, text: str) -> list[Row]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"Expected JSON in '{path}': {error.msg} at line {error.lineno}; mend the file.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"Expected a list of objects in '{path}'; for one object a line name the file .jsonl.")
    return rows


def _parquet(path: Path) -> list[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"Expected a Parquet file at '{path}', found {error}; write it again.") from None


def hub_rows(repo: str, config: str | None, splits: Sequence[str], revision: str | None) -> RowSet:
    """Rows of a data set of the Hub (or its local cache), splits in the order given.

    Raises:
        InputError: the Hub cannot be reached and the data set is not cached, or has no such split.
    """
    from datasets import load_dataset

    rows: list[Row] = []
    commit = revision
    for split in splits:
        try:
            part = load_dataset(repo, config, split=split, revision=revision)
        except (OSError, ValueError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"Expected data set '{repo}' (split '{split}') on the Hub, found: {first_line.rstrip('.')}. "
                "To work offline, give its file (--problems-file, or path=…)."
            ) from None
        rows.extend(dict(row, _split=split) for row in part)
        commit = _commit(part.download_checksums) or commit
    return RowSet(rows, f"hf://datasets/{repo}", commit, content_hash(rows))


def _commit(checksums: Mapping[str, Any] | None) -> str | None:
    # datasets records what it downloaded as hf://datasets/<repo>@<commit>/<file>
    for url in checksums or {}:
        repo, at, rest = url.partition("@")
        if at:
            return rest.split("/", 1)[0]
    return None


def require(row: Row, field: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return `row[field]` of type `kind`.

    Raises:
        InputError: the field is missing or of another type.
    """
    names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
    if row.get(field) is None:
        present = ", ".join(sorted(str(key) for key in row)) or "none"
        raise InputError(f"Expected a field '{field}' ({names}) in {where}, found the fields {present}; add it.")
    value = row[field]
    if not isinstance(value, kind):
        raise InputError(
            f"Expected field '{field}' in {where} to be {names}, found {type(value).__name__}; convert it."
        )
    return value


def optional(row: Row, field: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return `row[field]` checked as in `require`, or None where it is absent or null."""
    return None if row.get(field) is None else require(row, field, kind, where)
