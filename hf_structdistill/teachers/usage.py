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
    """One entry a teacher that was asked, in their order; replies that other settings left in the journal count."""
    prices: dict[str, tuple[float, float]] = {}
    for teacher, requests in asked:
        budget = getattr(teacher, "budget", None)
        for name in dict.fromkeys(request.teacher for request in requests):
            if budget is not None or name not in prices:
                prices[name] = (budget.price_in, budget.price_out) if budget is not None else (0.0, 0.0)
    totals = {name: [0, 0, 0, 0] for name in prices}
    for record in journal.all("reply"):
        total = totals.get(record["request"]["teacher"])
        if total is None:
            continue
        reply = record["reply"]
        tokens = reply["prompt_tokens"], reply["completion_tokens"]
        for index, value in enumerate((1, any(n is not None for n in tokens), *(n or 0 for n in tokens))):
            total[index] += value
    return [Usage(name, *counts, *prices[name]) for name, counts in totals.items() if counts[0]]
