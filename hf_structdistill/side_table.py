"""What an example needs besides its tokens, found again by the content of its prompt.

TRL's truncation and packing keep ids and labels only, so nothing can travel as a column: wrong completions and rows of
the embedding bank are kept here, under a hash of the prompt's token ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

NO_PROMPT = b""


@dataclass
class SideEntry:
    """Attributes:
    rejected: token ids (1-D int64) of wrong completions of the prompt.
    bank_rows: rows of the embedding bank that solve the prompt's problem, the reference first.
    """

    rejected: list[np.ndarray] = field(default_factory=list)
    bank_rows: list[int] = field(default_factory=list)


_EMPTY = SideEntry()


def prompt_key(input_ids: np.ndarray, labels: np.ndarray) -> bytes:
    """Hash of the leading unsupervised ids; `NO_PROMPT` where the example has none or is all prompt."""
    supervised = labels != -100
    length = int(np.argmax(supervised)) if supervised.any() else 0
    if length == 0:
        return NO_PROMPT
    prompt = np.ascontiguousarray(input_ids[:length], dtype=np.int64)
    return hashlib.blake2b(prompt.tobytes(), digest_size=16).digest()


class SideTable:
    """Prompt key -> `SideEntry`."""

    def __init__(self) -> None:
        self._entries: dict[bytes, SideEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> SideEntry:
        """The entry of a prompt; an empty one where nothing is known."""
        return self._entries.get(key, _EMPTY)

    def add(self, key: bytes, *, rejected: Iterable[np.ndarray] = (), bank_rows: Iterable[int] = ()) -> None:
        """Add to the entry of a prompt; duplicates are kept once."""
        if key == NO_PROMPT:
            return
        entry = self._entries.setdefault(key, SideEntry())
        for ids in rejected:
            if not any(np.array_equal(ids, known) for known in entry.rejected):
                entry.rejected.append(ids)
        entry.bank_rows.extend(row for row in bank_rows if row not in entry.bank_rows)
