"""What an example needs besides its tokens, found again by its content.

TRL's truncation and packing keep ids and labels only, so nothing can travel as a column. Both cut an example at its
end, so what stands at its beginning still tells which one it is: wrong completions are kept under the prompt's token
ids, rows of the embedding bank under the ids before the code. (Which row is its own, under all ids of an uncut one.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np


def ids_key(ids: np.ndarray) -> bytes:
    """16 bytes that stand for a sequence of token ids."""
    return hashlib.blake2b(np.ascontiguousarray(ids, dtype=np.int64), digest_size=16).digest()


class SideTable:
    """Wrong completions by prompt, bank rows by what stands before the code."""

    def __init__(self) -> None:
        self._rejected: dict[bytes, list[np.ndarray]] = {}
        self._prompt_lengths: list[int] = []
        self._bank_rows: dict[bytes, list[int]] = {}
        self._own_row: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._rejected) + len(self._bank_rows)

    def add_prompt(self, prompt: np.ndarray, rejected: Iterable[np.ndarray] = ()) -> None:
        """Enter a prompt with the whole token sequences (prompt included) of its wrong completions.

        Prompts without any are entered too: one may begin with another's text.
        """
        if len(prompt) == 0:
            return
        known = self._rejected.setdefault(ids_key(prompt), [])
        if len(prompt) not in self._prompt_lengths:
            self._prompt_lengths = sorted([*self._prompt_lengths, len(prompt)])
        for ids in rejected:
            if not any(np.array_equal(ids, other) for other in known):
                known.append(ids)

    def rejected(self, ids: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        """Whole sequences of the wrong completions of an example's prompt.

        The prompt is what is unsupervised at the beginning, where that is known; else (the prompt is supervised too,
        or an earlier turn is) the longest known one that the example begins with.
        """
        if not self._rejected or len(ids) == 0:
            return []
        unsupervised = int(np.argmax(labels != -100))
        found: list[np.ndarray] = []
        for length, key in self._prefixes(ids):
            if key not in self._rejected or length < unsupervised:
                continue
            found = self._rejected[key]
            if length == unsupervised:
                break
        return found

    def _prefixes(self, ids: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """Lengths of known prompts, ascending, and the key of as many of the example's first ids."""
        digest, done = hashlib.blake2b(digest_size=16), 0
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        for length in self._prompt_lengths:
            if length > len(ids):
                return
            digest.update(ids[done:length])
            done = length
            yield length, digest.digest()

    def add_solution(self, ids: np.ndarray, code_start: int, own: int, rows: Iterable[int]) -> None:
        """Enter the bank row of an example and those of all programs that solve its problem."""
        if code_start > 0:
            known = self._bank_rows.setdefault(ids_key(ids[:code_start]), [])
            known.extend(row for row in (own, *rows) if row not in known)
            self._own_row[ids_key(ids)] = own

    def bank_rows(self, ids: np.ndarray, code_start: int) -> list[int]:
        """Rows of the bank for an example, empty where nothing is known.

        Its own comes first; for an example that was cut off, the first known of those with the same beginning.
        """
        if not self._bank_rows:
            return []
        known = self._bank_rows.get(ids_key(ids[:code_start]), [])
        own = self._own_row.get(ids_key(ids))
        return known if own is None else [own, *(row for row in known if row != own)]
