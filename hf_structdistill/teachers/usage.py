"""What the replies of a run used: tokens as the endpoint counted them, money at the prices given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .base import Request, Teacher
from .journal import Journal
from .limits import Budget


@dataclass(frozen=True)
class Usage:
    """Totals of one teacher, earlier runs of the same folder included.

    Attributes:
        teacher: as requests name it.
        replies: how many it gave; `counted` is for how many of them tokens were reported.
        prompt_tokens, completion_tokens: of the counted ones.
        price_in, price_out: for a million prompt or completion tokens; 0 where none was given.
    """

    teacher: str
    replies: int = 0
    counted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def cost(self) -> float | None:
        """In the currency of the prices; None without prices or counts."""
        if not self.counted or not (self.price_in or self.price_out):
            return None
        prices = Budget(price_in=self.price_in, price_out=self.price_out)
        return prices.price(self.prompt_tokens, self.completion_tokens)


def count_usage(asked: Iterable[tuple[Teacher, Sequence[Request]]], journal: Journal) -> list[Usage]:
    """One entry a teacher, in their order."""
    totals: dict[tuple[str, float, float], list[int]] = {}
    for teacher, requests in asked:
        budget = getattr(teacher, "budget", None)
        prices = (budget.price_in, budget.price_out) if budget is not None else (0.0, 0.0)
        for request in requests:
            record = journal.get("reply", request.key)
            if record is None:
                continue
            reply = record["reply"]
            tokens = reply["prompt_tokens"], reply["completion_tokens"]
            total = totals.setdefault((request.teacher, *prices), [0, 0, 0, 0])
            for index, value in enumerate((1, any(n is not None for n in tokens), *(n or 0 for n in tokens))):
                total[index] += value
    return [Usage(name, *counts, *prices) for (name, *prices), counts in totals.items()]
