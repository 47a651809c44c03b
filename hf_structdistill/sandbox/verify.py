"""`verify`: problems and candidates in, verdicts out, in the same order."""

from __future__ import annotations

import marshal
import os
import select
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from ..problems.problem import AssertTests, CheckTests, InputTests, Problem
from .backends import choose_backend, environment, worker_command
from .limits import Limits
from .processes import empty
from .remote import short
from .verdict import Verdict
from .wires import read_exactly

MAX_SOURCE = 1 << 20  # characters of a candidate
# The clocks and limits of the system take no more, infinity least of all.
MAX_SECONDS, MAX_MEMORY, MAX_WORKERS = 1_000_000, 1 << 30, 10_000
AHEAD = 2  # tasks a worker has at hand


def verify(
    problems: Sequence[Problem],
    candidates: Sequence[str | None],
    *,
    workers: int | None = None,
    cpu_seconds: float = 5.0,
    wall_seconds: float = 30.0,
    memory_mb: int = 1024,
    backend: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Verdict]:
    """Run each candidate against the tests of its problem.

    Args:
        problems: one a candidate; the same problem may come several times (best side by side).
        candidates: programs; None where there is no code, which is an `error` verdict.
        workers: candidates judged at the same time; default: the cores this process may use.
        cpu_seconds: CPU time a candidate has for all tests of its problem.
        wall_seconds: backstop for what waits without computing.
        memory_mb: memory a candidate has.
        backend: `"bubblewrap"`, `"rlimits"` (needs HF_ALLOW_CODE_EVAL=1), or None for the first that works.
        progress: called with the number of verdicts so far, from 1 to `len(problems)`.

    Returns:
        One `Verdict` a candidate, in their order. The same input gives the same verdicts, whatever the load of the
        machine: CPU time decides, and what timed out is run again alone before it counts.

    Raises:
        InputError: lists of different lengths, a candidate that is no string, a limit out of range, or no backend.
    """
    limits = _checked(problems, candidates, cpu_seconds, wall_seconds, memory_mb, workers)
    candidates = _programs(candidates)
    backend = choose_backend(backend)
    verdicts: list[Verdict | None] = [
        _verdict_without_running(p, c) for p, c in zip(problems, candidates, strict=True)
    ]
    groups: dict[tuple[int, str], list[int]] = {}  # equal programs for one problem run once
    for number, (problem, candidate) in enumerate(zip(problems, candidates, strict=True)):
        if verdicts[number] is None:
            groups.setdefault((id(problem), candidate or ""), []).append(number)
    done = sum(verdict is not None for verdict in verdicts)

    def finished(number: int, verdict: Verdict) -> None:
        nonlocal done
        for twin in groups[id(problems[number]), candidates[number] or ""]:
            verdicts[twin] = verdict
            done += 1
            if progress:
                progress(done)

    for count in range(1, done + 1):
        if progress:
            progress(count)
    tasks = [(numbers[0], problems[numbers[0]], candidates[numbers[0]] or "") for numbers in groups.values()]
    weights = {id(problem): _weight(problem) for problem in problems}
    tasks.sort(key=lambda task: weights[id(task[1])], reverse=True)
    late: list[int] = []
    with Pool(backend, limits, min(workers or available_cores(), len(tasks))) as pool:
        for number, verdict in pool.run(tasks):
            late.append(number) if verdict.status == "timeout" else finished(number, verdict)
    with Pool(backend, limits, min(1, len(late))) as pool:  # alone: a busy machine is no reason to fail
        for number, verdict in pool.run([(number, problems[number], candidates[number] or "") for number in late]):
            finished(number, verdict)
    return [verdict or Verdict("unknown", reason="not run") for verdict in verdicts]


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked(
    problems: Sequence[Problem],
    candidates: Sequence[str | None],
    cpu_seconds: float,
    wall_seconds: float,
    memory_mb: int,
    workers: int | None,
) -> Limits:
    if len(problems) != len(candidates):
        raise InputError(
            f"Expected one candidate a problem, found {len(problems)} problems and {len(candidates)} candidates; "
            "give None where there is no code."
        )
    for name, value, least, most in (
        ("cpu_seconds", cpu_seconds, 0.01, MAX_SECONDS),
        ("wall_seconds", wall_seconds, 0.01, MAX_SECONDS),
        ("memory_mb", memory_mb, 64, MAX_MEMORY),
        ("workers", workers if workers is not None else 1, 1, MAX_WORKERS),
    ):
        if not least <= value <= most:
            raise InputError(f"Expected {name} of at least {least} and at most {most}, found {value!r}.")
    return Limits(cpu_seconds=cpu_seconds, wall_seconds=wall_seconds, memory_mb=int(memory_mb))


def _programs(candidates: Sequence[str | None]) -> list[str | None]:
    """The candidates as plain strings: numpy's cannot be sent to a worker."""
    for number, candidate in enumerate(candidates):
        if not (candidate is None or isinstance(candidate, str)):
            raise InputError(
                f"Expected each candidate to be a program as a string, or None where there is no code, found "
                f"{type(candidate).__name__} ({short(candidate)}) at candidates[{number}]."
            )
    return [None if candidate is None else str(candidate) for candidate in candidates]


def _verdict_without_running(problem: Problem, candidate: str | None) -> Verdict | None:
    if candidate is None:
        return Verdict("error", reason="no code")
    if problem.tests is None:
        return Verdict("unknown", reason="the problem has no tests")
    if len(candidate) > MAX_SOURCE:
        return Verdict("error", reason=f"a program of more than {MAX_SOURCE} characters")
    return None


def _weight(problem: Problem) -> int:
    """A guess at how long its inputs take: programs loop up to the numbers they get. The long ones go first, so that
    no worker is left with one of them when the others have nothing to do."""
    if not isinstance(problem.tests, InputTests):
        return 0
    inputs = (*problem.tests.base_inputs, *problem.tests.plus_inputs)
    return sum(abs(value) for arguments in inputs for value in arguments if type(value) is int)


def _payload(problem: Problem) -> dict[str, Any]:
    """The problem as plain data, as the judge takes it."""
    tests = problem.tests
    common = {"entry_point": problem.entry_point, "reference": problem.reference}
    if isinstance(tests, AssertTests):
        return {**common, "kind": "asserts", "asserts": list(tests.asserts), "setup": tests.setup}
    if isinstance(tests, CheckTests):
        return {**common, "kind": "check", "code": tests.code}
    assert isinstance(tests, InputTests)
    inputs = [tuple(arguments) for arguments in (*tests.base_inputs, *tests.plus_inputs)]
    return {
        **common,
        "kind": "inputs",
        "inputs": inputs,
        "reference": tests.reference,
        "atol": tests.atol,
        "oracle": tests.oracle,
    }


Task = tuple[int, Problem, str]


class Pool:
    """Worker processes for one call of `verify`; none of them outlives the `with` block."""

    def __init__(self, backend: str, limits: Limits, size: int):
        self.backend, self.limits, self.size = backend, limits, size
        self.members: list[Member] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *details: object) -> None:
        for member in self.members:
            member.hang_up()
        for member in self.members:
            member.wait()

    def run(self, tasks: Sequence[Task]):
        """Yield (number, verdict) as they come in."""
        waiting = deque(tasks)
        self.members = [Member(self.backend, self.limits, number) for number in range(self.size)]
        while waiting or any(member.tasks for member in self.members):
            for _ in range(AHEAD):
                for member in self.members:
                    if waiting and len(member.tasks) < AHEAD:
                        member.send(waiting.popleft())
            busy = [member for member in self.members if member.tasks]
            poller = select.poll()  # select() itself knows no descriptors from 1024 on
            for member in busy:
                poller.register(member.out, select.POLLIN)
                if member.outgoing:
                    poller.register(member.into, select.POLLOUT)
            ready = {fd for fd, _ in poller.poll()}
            for member in busy:
                if member.into.fileno() in ready:
                    member.pump()
                if member.out.fileno() in ready:
                    yield from member.receive()


class Member:
    """One worker process and the tasks it has at hand."""

    def __init__(self, backend: str, limits: Limits, number: int):
        self.folder = tempfile.mkdtemp(prefix="structdistill-") if backend == "rlimits" else None
        self.command = worker_command(backend, limits, number, self.folder)
        self.tasks: deque[Task] = deque()
        self.last: int | None = None
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment("/"),
            cwd="/",
            bufsize=0,
            start_new_session=True,  # Ctrl-C reaches us, and we end them
        )
        assert self.process.stdin and self.process.stdout
        self.into, self.out = self.process.stdin, self.process.stdout
        self.outgoing = bytearray()
        os.set_blocking(self.into.fileno(), False)

    def send(self, task: Task) -> None:
        number, problem, candidate = task
        self.tasks.append(task)
        message = {"number": number, "key": id(problem), "candidate": candidate}
        message["reference first"] = isinstance(problem.tests, InputTests)
        if self.last != id(problem):
            try:
                message["problem"] = marshal.dumps(_payload(problem))  # twice marshalled: only the judge looks inside
                self.last = id(problem)
            except ValueError:
                message["refused"] = "the problem's inputs hold what is no plain value"
        data = marshal.dumps(message)
        self.outgoing += len(data).to_bytes(8, "big") + data
        self.pump()

    def pump(self) -> None:
        """Write what the worker takes at once; a busy one must not keep us from the others."""
        try:
            while self.outgoing:
                written = os.write(self.into.fileno(), self.outgoing)
                del self.outgoing[:written]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.outgoing.clear()  # `receive` says so

    def receive(self):
        fd = self.out.fileno()  # raw: what a buffer held, `poll` would not see
        head = read_exactly(fd, 8)
        data = read_exactly(fd, int.from_bytes(head, "big")) if head else None
        if not data:
            yield from self.lost()
            return
        report = marshal.loads(data)
        self.tasks.popleft()
        yield (
            report["number"],
            Verdict(
                status=report["status"],
                failed_test=report.get("test"),
                reason=report.get("reason"),
                cpu_seconds=report.get("cpu", 0.0),
            ),
        )

    def lost(self):
        """The worker itself ended, which no candidate can make it do inside bubblewrap."""
        for task in self.tasks:
            yield task[0], Verdict("unknown", reason=f"the worker ended with code {self.process.wait()}")
        self.tasks.clear()

    def hang_up(self) -> None:
        try:
            self.into.close()
        except OSError:
            pass

    def wait(self) -> None:
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.out.close()
        if self.folder:
            empty(self.folder)
