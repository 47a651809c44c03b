"""How fast an endpoint may be asked, and how much may be spent on it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field

from .base import Reply


class AdaptiveLimit:
    """Bounds the requests in flight: an overloaded answer takes a third of the bound away, good ones give it back.

    Additive increase, multiplicative decrease, as in TCP. Answers to requests that were sent before the last decrease
    do not decrease again. Belongs to one event loop.
    """

    DECREASE = 2 / 3

    def __init__(self, most: int) -> None:
        self.most = most
        self.bound = float(most)
        self.in_flight = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0
        self._decreased_at = 0.0

    async def acquire(self) -> float:
        """Wait for a place; returns when the request starts (`time.monotonic`)."""
        if self.in_flight >= max(1, int(self.bound)):
            place = asyncio.get_running_loop().create_future()
            self._queue.append(place)
            await place  # whoever set it has counted us
        else:
            self.in_flight += 1
        while (wait := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(wait + random.uniform(0, 0.05))
        return time.monotonic()

    def release(self, started: float, *, overloaded: bool, retry_after: float | None = None) -> None:
        """Give the place back, and say how it went."""
        self.in_flight -= 1
        if overloaded:
            if started > self._decreased_at:
                self.bound = max(1.0, self.bound * self.DECREASE)
                self._decreased_at = time.monotonic()
            if retry_after is not None:
                self._not_before = max(self._not_before, time.monotonic() + retry_after)
        else:
            self.bound = min(float(self.most), self.bound + 1 / self.bound)
        while self._queue and self.in_flight < max(1, int(self.bound)):
            place = self._queue.popleft()
            if not place.cancelled():
                self.in_flight += 1
                place.set_result(None)


@dataclass
class Budget:
    """Counts tokens and money, and says when there is not enough left for another request.

    Attributes:
        max_tokens: prompt and completion tokens together; None for no limit.
        max_cost: in the currency of the prices; None for no limit.
        price_in, price_out: for a million prompt or completion tokens.
        uncounted: replies without a count of their tokens: the most that they can have used is counted.
        counted: keys of the requests whose replies are counted.
    """

    max_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    counted: set[str] = field(default_factory=set)
    _held_tokens: int = 0
    _held_cost: float = 0.0

    def price(self, prompt: int, completion: int) -> float:
        return (prompt * self.price_in + completion * self.price_out) / 1e6

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost(self) -> float:
        return self.price(self.prompt_tokens, self.completion_tokens)

    @property
    def any_held(self) -> bool:
        return self._held_tokens > 0

    def hold(self, prompt: int, completion: int) -> bool:
        """Set aside the most that a request can use; False where that is more than is left."""
        tokens, cost = prompt + completion, self.price(prompt, completion)
        if self.max_tokens is not None and self.tokens + self._held_tokens + tokens > self.max_tokens:
            return False
        if self.max_cost is not None and self.cost + self._held_cost + cost > self.max_cost:
            return False
        self._held_tokens += tokens
        self._held_cost += cost
        return True

    def free(self, prompt: int, completion: int) -> None:
        """Take back what `hold` set aside."""
        self._held_tokens -= prompt + completion
        self._held_cost -= self.price(prompt, completion)

    def spend(self, reply: Reply, most: tuple[int, int] = (0, 0)) -> None:
        """Count what a reply used; where it does not say, `most`: prompt and completion tokens set aside for it."""
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        self.uncounted += prompt is None or completion is None
        self.prompt_tokens += most[0] if prompt is None else prompt
        self.completion_tokens += most[1] if completion is None else completion
