"""What a teacher is: it says what it would ask, then answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

from ..problems import Problem
from .trace import Trace

Item = TypeVar("Item")


@dataclass(frozen=True)
class Request:
    """One call to a teacher. Everything that can change the reply is in here, so `key` tells requests apart.

    A reply to a "backward" request is a plan alone, without code; its code is the problem's reference. Any other reply
    holds code.
    """

    problem_id: str
    teacher: str
    recipe: str
    messages: Sequence[Mapping[str, str]]
    revision: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    @cached_property
    def key(self) -> str:
        """SHA-256 of the request, 32 hexadecimal digits."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name; not copied, since one of these is made for every reply."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Reply:
    """What came back. `error` is set, and `text` empty, where the teacher could not answer."""

    text: str
    reasoning_content: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    error: str | None = None


Answer = tuple[Request, Reply]


class Teacher(Protocol):
    """Any source of replies."""

    def requests(self, problem: Problem) -> Sequence[Request]:
        """What this teacher would be asked about `problem`; empty where it has nothing to say."""
        ...

    def follow_up(self, problem: Problem, traces: Sequence[Trace]) -> Sequence[Request]:
        """What to ask once the first replies to `problem` are judged (all teachers'), e.g. to repair one's own."""
        ...

    def resume(self, answered: Iterable[Answer]) -> None:
        """Told before asking what the journal holds, of any teacher and setting, for teachers that count tokens."""
        ...

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[list[Answer]]:
        """Answer in any order: each list holds what has come in since the last, and goes to disk at once."""
        ...


def last_answers(answers: Iterator[list[Answer]], interrupt: KeyboardInterrupt) -> list[Answer]:
    """What a teacher still has that was interrupted, or whose reader was; what was read last may be among it."""
    if not isinstance(answers, Generator):
        return []
    try:
        return answers.throw(interrupt)
    except (KeyboardInterrupt, StopIteration):
        return []


def batches(items: Iterable[Item], largest: int = 256, first: int = 16) -> Iterator[list[Item]]:
    """Lists that double from `first` up to `largest`: the first results come soon, starting costs little later."""
    size = min(first, largest)
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
            size = min(2 * size, largest)
    if batch:
        yield batch
