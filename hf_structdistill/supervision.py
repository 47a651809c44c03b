"""Builds the side table and the embedding bank of a training set: wrong completions, and fingerprints of solutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from .problems.extraction import extract_code
from .side_table import NO_PROMPT, SideTable, prompt_key
from .structure.fingerprint import structure_fingerprint


@dataclass
class Bank:
    """Embeddings of solutions, one row for each distinct code; `rows` finds a code's row."""

    language: str

    def __post_init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._vectors: list[np.ndarray] = []

    def row_of(self, code: str) -> int:
        """The row of `code`, added when it is new."""
        if code not in self.rows:
            self.rows[code] = len(self._vectors)
            self._vectors.append(structure_fingerprint(code, self.language))
        return self.rows[code]

    def matrix(self) -> np.ndarray:
        """(rows, e) float32."""
        return np.stack(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)


def completion_text(completion: str | list[dict[str, str]]) -> str:
    """The text of a completion, conversational or not."""
    return completion if isinstance(completion, str) else "\n".join(turn["content"] for turn in completion)


def code_of(completion: str | list[dict[str, str]]) -> str | None:
    """The code inside a completion, or None."""
    return extract_code(completion_text(completion)).code


def rejected_rows(dataset: Dataset) -> Dataset | None:
    """The rows that have a wrong completion, with it as their `completion`; None where there is none."""
    if not {"prompt", "rejected"} <= set(dataset.column_names):
        return None
    kept = dataset.select_columns(["prompt", "rejected"]).filter(_has_rejected, desc="Finding wrong completions")
    return kept.rename_column("rejected", "completion") if len(kept) else None


def _has_rejected(row: dict[str, Any]) -> bool:
    return bool(row["rejected"])


def add_rejected(table: SideTable, prepared: Dataset) -> None:
    """Enter the wrong completions of a tokenized, labelled data set (`input_ids`, `labels`)."""
    for ids, labels in _examples(prepared):
        start = int(np.argmax(labels != -100))
        table.add(prompt_key(ids, labels), rejected=[ids[start:]])


def add_bank_rows(table: SideTable, prepared: Dataset, bank: Bank) -> int:
    """Enter each example's solution into `bank` and its row into `table`; returns how many had a prompt and code."""
    entered = 0
    for (ids, labels), completion in zip(_examples(prepared), prepared["completion"], strict=True):
        key, code = prompt_key(ids, labels), code_of(completion)
        if key != NO_PROMPT and code:
            table.add(key, bank_rows=[bank.row_of(code)])
            entered += 1
    return entered


def add_mutants(completions: Iterable[str | list[dict[str, str]]], bank: Bank) -> None:
    """Enter wrong solutions into `bank`: negatives that no prompt points to."""
    for completion in completions:
        code = code_of(completion) if completion else None
        if code:
            bank.row_of(code)


def _examples(prepared: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for row in prepared.select_columns(["input_ids", "labels"]):
        yield np.asarray(row["input_ids"], dtype=np.int64), np.asarray(row["labels"], dtype=np.int64)
