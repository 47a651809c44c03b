"""Where a completion ends, beside the end token: at the line that closes its first fenced block, or at a string."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria

_FENCE_LINE = re.compile(r"^[ \t]*```", re.MULTILINE)
_CLOSED_BLOCK = re.compile(r"^[ \t]*(`{3,})[^\n`]*\n.*?^[ \t]*\1`*[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Ending:
    """Whether the closing of the first fenced block ends a completion, and which strings do."""

    fence: bool = True
    stop: tuple[str, ...] = ()


class Endings(StoppingCriteria):
    """Stops each row at its ending.

    Args:
        prefixes: an opening fence line for the rows whose prompt ends inside a block, `""` for the others.
        width: length of the padded prompts; what comes after it is the completion.
    """

    def __init__(self, tokenizer: Any, endings: Sequence[Ending], prefixes: list[str], width: int):
        self.tokenizer = tokenizer
        self.endings = endings
        self.prefixes = prefixes
        self.width = width
        self.done = [False] * len(prefixes)
        self.window = 5 + max((len(stop) for ending in endings for stop in ending.stop), default=0)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        # Decoding whole rows at every step is quadratic: look at the last tokens first, an ending is near the end.
        recent = self.tokenizer.batch_decode(input_ids[:, max(self.width, input_ids.shape[1] - self.window) :])
        for row, text in enumerate(recent):
            if not self.done[row]:
                self.done[row] = self._ends(row, text, input_ids[row])
        return torch.tensor(self.done, device=input_ids.device)

    def _ends(self, row: int, recent: str, ids: Any) -> bool:
        ending = self.endings[row]
        if any(stop in recent for stop in ending.stop):
            return True
        if not ending.fence or "`" not in recent:
            return False
        completion = self.prefixes[row] + decode(self.tokenizer, ids[self.width :])
        return _CLOSED_BLOCK.search(completion) is not None


def open_fence(prompt: str) -> str:
    """An opening fence when the prompt itself ends inside a block, else nothing."""
    return "```\n" if len(_FENCE_LINE.findall(prompt)) % 2 else ""


def decode(tokenizer: Any, ids: Any) -> str:
    """The text of token ids as it was written: no special tokens, no spaces tidied away."""
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
