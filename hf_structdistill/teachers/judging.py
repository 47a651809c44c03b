"""Verdicts while replies are still on their way: a thread drives the sandbox, the journal keeps what it says."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from ..problems import Problem
from ..sandbox import verify
from ..sandbox.verdict import Verdict
from .journal import Journal
from .redaction import redact
from .trace import Trace

Progress = Callable[[str, int, int], None]
"""Called with a stage, how many are done and how many there are so far: "replies" and "repairs" asked for, programs
"verified", and how many of those "passed". Two threads call it, never at the same time."""

FEW, MANY = 24, 256
LINGER = 1.0  # seconds that a few programs wait for more: starting the sandbox costs a tenth of one
PATIENCE = 5.0  # seconds that an interrupted run waits for the sandbox to be put away


class _Stopped(Exception):
    """Ends `verify` from within."""


class Judge:
    """Gives traces their verdicts in a thread of its own; equal code for equal tests is judged once.

    A verdict is in the journal before it counts, and what the journal has is not judged again. Leaving the `with`
    block gives up what still waits: `drain` first.
    """

    def __init__(
        self, journal: Journal, problems: Mapping[str, Problem], workers: int | None, report: Progress
    ) -> None:
        self._journal, self._problems, self._workers, self._report = journal, problems, workers, report
        self._waiting: dict[str, tuple[Problem, str | None]] = {}
        self._seen: set[str] = set()
        self._done = self._passed = 0
        self._oldest = 0.0
        self._change = threading.Condition()
        self._hurry = self._stop = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    def __enter__(self) -> Judge:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._change:
            self._stop = True
            self._change.notify_all()
        self._thread.join(PATIENCE)

    def add(self, trace: Trace) -> None:
        """Take over what arrived; raises what went wrong in the sandbox, before more is asked for."""
        if self._error is not None:
            raise self._error
        problem = self._problems[trace.problem_id]
        key = _key(problem, trace.code)
        with self._change:
            if key in self._seen:
                return
            self._seen.add(key)
            record = self._journal.get("verdict", key)
            if _settled(record, problem):
                self._count(record)
            else:
                self._oldest = self._oldest if self._waiting else time.monotonic()
                self._waiting[key] = problem, trace.code
                self._change.notify_all()
        self._tell()

    def drain(self) -> None:
        """Wait until everything has its verdict; raises what went wrong in the sandbox."""
        with self._change:
            self._hurry = True
            self._change.notify_all()
            self._change.wait_for(lambda: self._error is not None or self._done == len(self._seen))
            self._hurry = False
        if self._error is not None:
            raise self._error

    def judged(self, trace: Trace) -> Trace:
        """The trace with its verdict, once drained."""
        record = self._journal.get("verdict", _key(self._problems[trace.problem_id], trace.code))
        assert record is not None  # it was added and drained
        return replace(trace, verdict=_verdict(record))

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._verify(batch)
        except _Stopped:
            pass
        except BaseException as error:  # raised again by `drain`
            self._error = error
        with self._change:
            self._change.notify_all()

    def _next(self) -> list[tuple[str, tuple[Problem, str | None]]]:
        """What to judge together; empty at the end."""
        with self._change:
            while not self._stop:
                left = self._oldest + LINGER - time.monotonic()
                if self._waiting and (self._hurry or len(self._waiting) >= FEW or left <= 0):
                    batch = list(self._waiting.items())[:MANY]
                    for key, _ in batch:
                        del self._waiting[key]
                    return batch
                self._change.wait(left if self._waiting else None)
        return []

    def _verify(self, batch: list[tuple[str, tuple[Problem, str | None]]]) -> None:
        def progress(number: int) -> None:
            if self._stop:
                raise _Stopped
            self._tell(number)

        asked = [problem for _, (problem, _) in batch]
        verdicts = verify(asked, [code for _, (_, code) in batch], workers=self._workers, progress=progress)
        records = [{"kind": "verdict", "key": key, **_written(v)} for (key, _), v in zip(batch, verdicts, strict=True)]
        self._journal.append(records)
        with self._change:
            for record in records:
                self._count(record)
            self._change.notify_all()
        self._tell()

    def _count(self, record: Mapping[str, Any] | None) -> None:
        self._done += 1
        self._passed += record is not None and record["status"] == "passed"

    def _tell(self, ahead: int = 0) -> None:
        self._report("passed", self._passed, self._done)  # first: it is shown beside the other
        self._report("verified", self._done + ahead, len(self._seen))


def known_verdict(journal: Journal, problem: Problem, code: str | None) -> Verdict | None:
    """What the journal says of a program; None where it is still to be judged."""
    record = journal.get("verdict", _key(problem, code))
    return _verdict(record) if record is not None and _settled(record, problem) else None


def _verdict(record: Mapping[str, Any]) -> Verdict:
    return Verdict(**{name: value for name, value in record.items() if name not in ("kind", "key")})


def _settled(record: Mapping[str, Any] | None, problem: Problem) -> bool:
    # "unknown" with tests at hand means that the runner broke: judge again
    return record is not None and (record["status"] != "unknown" or problem.tests is None)


def _written(verdict: Verdict) -> dict[str, Any]:
    return {name: redact(value) if isinstance(value, str) else value for name, value in asdict(verdict).items()}


def _key(problem: Problem, code: str | None) -> str:
    return hashlib.sha256(repr((problem.tests, problem.entry_point, code)).encode("utf-8", "replace")).hexdigest()[:32]
