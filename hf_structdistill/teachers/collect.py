"""Problems and teachers in, judged traces out; resumable at any moment through the journal."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..problems import Problem
from .base import Answer, Reply, Request, Teacher, last_answers
from .journal import Journal
from .judging import Judge, Progress
from .reading import read_reply
from .redaction import redact, redactor
from .scores import add_scores
from .trace import Trace
from .usage import Usage, count_usage


@dataclass(frozen=True)
class TraceSet:
    """Everything one run collected.

    Attributes:
        traces: one a reply, passed and failed.
        problems: what the teachers were asked, by id.
        refused: requests without a reply, with the reason the teacher gave.
        resumed: how many of the replies were already in the journal.
        usage: tokens and cost, an entry a teacher, of everything that the journal has of it.
    """

    traces: list[Trace]
    problems: dict[str, Problem]
    refused: list[tuple[Request, str]] = field(default_factory=list)
    resumed: int = 0
    usage: list[Usage] = field(default_factory=list)

    def statuses(self) -> Counter[str]:
        """Number of traces by status of their verdict; extraction failures under their own name."""
        return Counter(_status(trace) for trace in self.traces)

    def pass_rates(self) -> list[dict[str, Any]]:
        """One row for each teacher, recipe and source of problems.

        Keys: teacher, recipe, source, replies, passed, pass_rate, statuses; syntax and dataflow, the mean strict
        scores of the passing replies against the references (None where none is defined).
        """
        groups: dict[tuple[str, str, str], list[Trace]] = {}
        for trace in self.traces:
            source = self.problems[trace.problem_id].source
            groups.setdefault((trace.teacher, trace.recipe, source), []).append(trace)
        rows = []
        for (teacher, recipe, source), traces in groups.items():
            statuses = Counter(_status(trace) for trace in traces)
            rows.append(
                {
                    "teacher": teacher,
                    "recipe": recipe,
                    "source": source,
                    "replies": len(traces),
                    "passed": statuses["passed"],
                    "pass_rate": statuses["passed"] / len(traces),
                    "syntax": _mean(trace.syntax for trace in traces),
                    "dataflow": _mean(trace.dataflow for trace in traces),
                    "statuses": dict(statuses),
                }
            )
        return rows


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _status(trace: Trace) -> str:
    if trace.extraction != "ok":
        return trace.extraction
    return trace.verdict.status if trace.verdict else "unknown"


def collect_traces(
    problems: Sequence[Problem],
    teachers: Sequence[Teacher],
    out: str | Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TraceSet:
    """Ask every teacher about every problem, judge each reply, and score the passing ones against the reference.

    Replies are judged while others are on their way. Every reply is in `out/journal.jsonl`, on disk, before it
    counts, and so is every verdict: after a kill at any moment the same call goes on where it stopped. A changed
    prompt, sampling setting, teacher or revision is another request; replies of other runs in the same journal stay
    there and are left out.

    Args:
        problems: with tests; those without get the verdict "unknown".
        teachers: asked in this order.
        out: folder of the journal, made if missing.
        workers: processes of the sandbox, as in `sandbox.verify`.
        progress: told how far each stage is.

    Raises:
        InputError: two problems of one id; two teachers that ask the same; `out` cannot be written, or another run is
            writing it; no sandbox on this machine.
    """
    by_id = _by_id(problems)
    report = _one_at_a_time(progress or (lambda stage, done, total: None))
    with Journal(Path(out) / "journal.jsonl") as journal, Judge(journal, by_id, workers, report) as judge:
        asked = [(teacher, _each(problems, teacher.requests)) for teacher in teachers]
        _refuse_repeated(request for _, requests in asked for request in requests)
        for teacher in teachers:  # all of them first: they may share a budget
            teacher.resume(_answers(journal))
        first = _ask("replies", asked, by_id, journal, judge, report)
        again = [(teacher, _follow_ups(teacher, problems, first.traces)) for teacher in teachers]
        second = TraceSet([], by_id)
        if any(requests for _, requests in again):
            second = _ask("repairs", again, by_id, journal, judge, report)
        usage = count_usage(asked, journal)
    traces = add_scores(first.traces + second.traces, by_id)
    return TraceSet(traces, by_id, first.refused + second.refused, first.resumed + second.resumed, usage)


def _by_id(problems: Sequence[Problem]) -> dict[str, Problem]:
    by_id: dict[str, Problem] = {}
    for problem in problems:
        if problem.id in by_id:
            raise InputError(
                f"Expected a different id for each problem, found '{problem.id}' twice: a reply to one would be "
                "judged by the tests of the other. Give the rows of your files an 'id' of their own."
            )
        by_id[problem.id] = problem
    return by_id


def _refuse_repeated(requests: Iterable[Request]) -> None:
    seen: set[str] = set()
    for request in requests:
        if request.key in seen:
            raise InputError(
                f"Expected teachers that ask different things, found the same request to '{request.teacher}' twice "
                f"({request.recipe}, problem '{request.problem_id}'): it would be paid and counted twice. Name each "
                "teacher once."
            )
        seen.add(request.key)


def _each(problems: Iterable[Problem], requests: Callable[[Problem], Sequence[Request]]) -> list[Request]:
    return [request for problem in problems for request in requests(problem)]


def _follow_ups(teacher: Teacher, problems: Iterable[Problem], traces: Iterable[Trace]) -> list[Request]:
    of_problem: dict[str, list[Trace]] = {}
    for trace in traces:
        of_problem.setdefault(trace.problem_id, []).append(trace)
    return _each(problems, lambda problem: teacher.follow_up(problem, of_problem.get(problem.id, [])))


def _ask(
    stage: str,
    asked: Sequence[tuple[Teacher, list[Request]]],
    problems: Mapping[str, Problem],
    journal: Journal,
    judge: Judge,
    report: Progress,
) -> TraceSet:
    """Replies, from the journal or the teachers, and their verdicts; no scores yet."""
    requests = [request for _, part in asked for request in part]
    traces: dict[str, Trace] = {}

    def arrived(answered: Iterable[Request]) -> None:
        for request in answered:
            record = journal.get("reply", request.key)
            assert record is not None  # on disk, or it would not count
            traces[request.key] = read_reply(request, problems[request.problem_id], _reply(record))
            judge.add(traces[request.key])

    known = [request for request in requests if journal.get("reply", request.key) is not None]
    arrived(known)
    refused = _gather(asked, problems, journal, report, stage, arrived)
    judge.drain()
    judged = [judge.judged(traces[request.key]) for request in requests if request.key in traces]
    return TraceSet(judged, dict(problems), refused, len(known))


def _one_at_a_time(progress: Progress) -> Progress:
    lock = threading.Lock()

    def report(stage: str, done: int, total: int) -> None:
        with lock:
            progress(stage, done, total)

    return report


def _gather(
    asked: Sequence[tuple[Teacher, list[Request]]],
    problems: Mapping[str, Problem],
    journal: Journal,
    report: Progress,
    stage: str,
    arrived: Callable[[Iterable[Request]], None],
) -> list[tuple[Request, str]]:
    """Have every request answered that the journal does not answer; returns those that got none, with the reason.

    `arrived` is told which requests have a reply on disk.
    """
    total = sum(len(requests) for _, requests in asked)
    open_requests = [[r for r in requests if journal.get("reply", r.key) is None] for _, requests in asked]
    done = total - sum(map(len, open_requests))
    refused: list[tuple[Request, str]] = []
    report(stage, done, total)
    for (teacher, _), requests in zip(asked, open_requests, strict=True):
        pairs = ((request, problems[request.problem_id]) for request in requests)
        answers = teacher.replies(pairs)
        try:
            for batch in answers:
                answered, without = _keep(batch, journal)
                refused += without
                done += len(batch)
                report(stage, done, total)
                arrived(answered)
        except KeyboardInterrupt as interrupt:
            last = last_answers(answers, interrupt)
            _keep([(request, reply) for request, reply in last if journal.get("reply", request.key) is None], journal)
            raise
    return refused


def _keep(batch: Sequence[Answer], journal: Journal) -> tuple[list[Request], list[tuple[Request, str]]]:
    """Write down what a teacher said: the requests with a reply, and those without, with the reason."""
    answered = [(request, reply) for request, reply in batch if reply.error is None]
    without = [(request, redact(reply.error)) for request, reply in batch if reply.error is not None]
    clean = redactor(content=True)  # before a reply is judged: what is published is what was judged
    journal.append([clean(_reply_record(*pair)) for pair in answered] + _refusals(without, journal))
    return [request for request, _ in answered], without


def _reply_record(request: Request, reply: Reply) -> dict[str, Any]:
    return {"kind": "reply", "key": request.key, "request": request.as_dict(), "reply": dict(vars(reply))}


def _refusals(refused: Iterable[tuple[Request, str]], journal: Journal) -> list[dict[str, Any]]:
    """What the journal keeps of requests without a reply: why. The next run tries them again."""
    records = [{"kind": "refusal", "key": request.key, "reason": reason} for request, reason in refused]
    return [record for record in records if record != journal.get("refusal", record["key"])]


def _answers(journal: Journal) -> Iterator[Answer]:
    """Everything that earlier runs were told, whatever they asked."""
    for record in journal.all("reply"):
        yield Request(**record["request"]), _reply(record)


def _reply(record: Mapping[str, Any]) -> Reply:
    return Reply(**record["reply"])
