"""What a teacher is: it says what it would ask, then answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from ..problems import Problem


@dataclass(frozen=True)
class Request:
    """One call to a teacher. Everything that can change the reply is in here, so `key` tells requests apart.

    A reply to a "backward" request is a plan alone; its code is the problem's reference. Any other reply holds code.
    """

    problem_id: str
    teacher: str
    recipe: str
    messages: Sequence[Mapping[str, str]]
    revision: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0

    @property
    def key(self) -> str:
        """SHA-256 of the request, 32 hexadecimal digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reply:
    """What came back. `error` is set, and `text` empty, where the teacher could not answer."""

    text: str
    reasoning_content: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    error: str | None = None


class Teacher(Protocol):
    """Any source of replies. `immediate` says that a reply costs nothing, so that many may go to disk at once."""

    immediate: bool

    def requests(self, problem: Problem) -> Sequence[Request]:
        """What this teacher would be asked about `problem`; empty where it has nothing to say."""
        ...

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[tuple[Request, Reply]]:
        """Answer, in any order, each as soon as it is there."""
        ...
