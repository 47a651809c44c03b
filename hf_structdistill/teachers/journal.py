"""The journal: one JSON object a line, on disk before it counts."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import InputError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no flock; two runs on one folder are then not detected
    fcntl = None  # type: ignore[assignment]


class Journal:
    """Append-only file of records `{"kind": …, "key": …, …}`; the last record of a (kind, key) counts.

    Kinds: "reply" with its request, "verdict" on a program, "refusal" with the reason why a request got no reply.

    A process killed while it wrote leaves at most one line without its end: `open` cuts that line off. A damaged
    line elsewhere is an error, since nothing here can write one.

    Use as a context manager; a second process on the same file is refused. Threads may share it.

    Raises:
        InputError: the folder cannot be written, the file is damaged or in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, dict[str, dict[str, Any]]] = {}
        self._writing = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise InputError(
                f"Expected a folder to write to at '{path.parent}', found: {error.strerror}; choose another --out."
            ) from None
        try:
            self._lock()
            self._load()
        except InputError:
            self._file.close()
            raise

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"Expected '{self.path}' to be free, found another run writing it; wait for it or use another --out."
            ) from None

    def _load(self) -> None:
        self._file.seek(0)
        good_end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break  # cut short by a kill
            try:
                record = json.loads(line)
                self._records.setdefault(record["kind"], {})[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    f"Expected a journal record in '{self.path}', line {number}, found something else; "
                    "delete that line to have it made again, or use another --out."
                ) from None
            good_end += len(line)
        self._file.truncate(good_end)
        self._file.seek(0, os.SEEK_END)

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records and return once they are on disk: one fsync, however many they are.

        Raises:
            InputError: they cannot be written, on a full disk say. What was written before stays.
        """
        records = [dict(record) for record in records]
        if not records:
            return
        lines = b"".join(json.dumps(record, ensure_ascii=True).encode() + b"\n" for record in records)
        with self._writing:
            try:
                self._file.write(lines)
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise InputError(
                    f"Expected to write to '{self.path}', found: {error.strerror}; make room there and run the same "
                    "command again: what was written before is not asked for again."
                ) from error
            for record in records:
                self._records.setdefault(record["kind"], {})[record["key"]] = record

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        return self._records.get(kind, {}).get(key)

    def all(self, kind: str) -> Iterator[dict[str, Any]]:
        return iter(self._records.get(kind, {}).values())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # tries to write what could not be written, and closes all the same
            self._file.close()


def merge_journals(out: Path, others: Iterable[Path]) -> int:
    """Add to `out/journal.jsonl` what the journals of other folders (shards) have and it lacks; returns how many.

    Raises:
        InputError: a folder has no journal, or a journal is damaged or in use.
    """
    added = 0
    with Journal(out / "journal.jsonl") as journal:
        for folder in others:
            path = folder / "journal.jsonl"
            if not path.is_file():
                raise InputError(f"Expected a journal at '{path}', found none; name a folder of structdistill traces.")
            with Journal(path) as other:
                paid = [record for kind in ("reply", "verdict") for record in other.all(kind)]
                records = [record for record in paid if journal.get(record["kind"], record["key"]) is None]
            journal.append(records)
            added += len(records)
    return added
