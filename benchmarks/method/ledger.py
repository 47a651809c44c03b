"""Results as JSON lines: one line a finished run, on disk before the next begins."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Ledger:
    """The finished runs of a study. A line cut short by a kill is left out, and its run is made again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def rows(self) -> list[dict[str, Any]]:
        """All finished runs, the latest row of each key."""
        found: dict[str, dict[str, Any]] = {}
        if self.file.is_file():
            for line in self.file.read_text(encoding="utf-8").split("\n"):
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue
                found[row["key"]] = row
        return list(found.values())

    def missing(self, keys: Iterable[str]) -> set[str]:
        """The keys that have no row yet."""
        return set(keys) - {row["key"] for row in self.rows()}

    def append(self, row: dict[str, Any]) -> None:
        """Write a row in one call, so that processes may share the file."""
        with open(self.file, "ab") as file:
            file.write(b"\n" + json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
