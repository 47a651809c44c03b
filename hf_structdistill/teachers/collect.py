"""Problems and teachers in, judged traces out; resumable at any moment through the journal."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..problems import Problem
from ..problems.extraction import extract_code
from ..sandbox import verify
from ..sandbox.verdict import Verdict
from .base import Reply, Request, Teacher, batches
from .journal import Journal
from .redaction import redact
from .scores import add_scores
from .trace import Trace

Progress = Callable[[str, int, int], None]
"""Called with a stage ("replies", "repairs", "verified"), how many are done and how many there are."""


@dataclass(frozen=True)
class TraceSet:
    """Everything one run collected.

    Attributes:
        traces: one a reply, passed and failed.
        problems: what the teachers were asked, by id.
        refused: requests without a reply, with the reason the teacher gave.
        resumed: how many of the replies were already in the journal.
    """

    traces: list[Trace]
    problems: dict[str, Problem]
    refused: list[tuple[Request, str]] = field(default_factory=list)
    resumed: int = 0

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

    Every reply is in `out/journal.jsonl`, on disk, before it counts, and so is every verdict: after a kill at any
    moment the same call goes on where it stopped. A changed prompt, sampling setting, teacher or revision is another
    request; replies of other runs in the same journal stay there and are left out.

    Args:
        problems: with tests; those without get the verdict "unknown".
        teachers: asked in this order.
        out: folder of the journal, made if missing.
        workers: processes of the sandbox, as in `sandbox.verify`.
        progress: told how far each stage is.

    Raises:
        InputError: `out` cannot be written, or another run is writing it.
    """
    by_id = {problem.id: problem for problem in problems}
    report = progress or (lambda stage, done, total: None)
    with Journal(Path(out) / "journal.jsonl") as journal:

        def ask(stage: str, asked: list[tuple[Teacher, list[Request]]]) -> TraceSet:
            requests = [request for _, part in asked for request in part]
            resumed = sum(journal.get("reply", request.key) is not None for request in requests)
            refused = _gather(asked, by_id, journal, report, stage)
            records = [(request, journal.get("reply", request.key)) for request in requests]
            traces = [_trace(request, by_id[request.problem_id], record) for request, record in records if record]
            return TraceSet(_judge(traces, by_id, journal, workers, report), by_id, refused, resumed)

        first = ask("replies", [(teacher, _each(problems, teacher.requests)) for teacher in teachers])
        judged: dict[str, list[Trace]] = {}
        for trace in first.traces:
            judged.setdefault(trace.problem_id, []).append(trace)
        again = [(t, _each(problems, lambda p, t=t: t.follow_up(p, judged.get(p.id, [])))) for t in teachers]
        second = ask("repairs", again) if any(requests for _, requests in again) else TraceSet([], by_id)
    traces = add_scores(first.traces + second.traces, by_id)
    return TraceSet(traces, by_id, first.refused + second.refused, first.resumed + second.resumed)


def _each(problems: Iterable[Problem], requests: Callable[[Problem], Sequence[Request]]) -> list[Request]:
    return [request for problem in problems for request in requests(problem)]


def _gather(
    asked: Sequence[tuple[Teacher, list[Request]]],
    problems: Mapping[str, Problem],
    journal: Journal,
    report: Progress,
    stage: str,
) -> list[tuple[Request, str]]:
    """Have every request answered that the journal does not answer; returns those that got none, with the reason."""
    total = sum(len(requests) for _, requests in asked)
    open_requests = [[r for r in requests if journal.get("reply", r.key) is None] for _, requests in asked]
    done = total - sum(map(len, open_requests))
    refused: list[tuple[Request, str]] = []
    report(stage, done, total)
    for (teacher, everything), requests in zip(asked, open_requests, strict=True):
        pairs = ((request, problems[request.problem_id]) for request in requests)
        teacher.resume(_reply(record) for r in everything if (record := journal.get("reply", r.key)))
        for batch in teacher.replies(pairs):
            answered = [(request, reply) for request, reply in batch if reply.error is None]
            refused += [(request, redact(reply.error)) for request, reply in batch if reply.error is not None]
            journal.append(_reply_record(request, reply) for request, reply in answered)
            done += len(batch)
            report(stage, done, total)
    return refused


def _reply_record(request: Request, reply: Reply) -> dict[str, Any]:
    return {"kind": "reply", "key": request.key, "request": request.as_dict(), "reply": dict(vars(reply))}


def _reply(record: Mapping[str, Any]) -> Reply:
    return Reply(**record["reply"])


def _trace(request: Request, problem: Problem, record: Mapping[str, Any]) -> Trace:
    reply = _reply(record)
    trace = Trace(
        problem_id=problem.id,
        teacher=request.teacher,
        reasoning=reply.text.strip(),
        code=problem.reference,
        revision=request.revision,
        sampling=request.sampling,
        messages=request.messages,
        tokens=reply.completion_tokens,
        finish_reason=reply.finish_reason,
        recipe=request.recipe,
        sample=request.sample,
        key=request.key,
    )
    if request.recipe == "backward":
        return trace
    found = extract_code(reply.text, problem.entry_point, reasoning_content=reply.reasoning_content)
    return replace(trace, reasoning=found.reasoning.strip(), code=found.code, extraction=found.status)


def _judge(
    traces: list[Trace],
    problems: Mapping[str, Problem],
    journal: Journal,
    workers: int | None,
    report: Progress,
) -> list[Trace]:
    """Give every trace its verdict; equal code for equal tests is judged once."""
    keys = [_verdict_key(problems[trace.problem_id], trace.code) for trace in traces]
    waiting = {
        key: (problems[trace.problem_id], trace.code)
        for key, trace in zip(keys, traces, strict=True)
        if not _settled(journal.get("verdict", key), problems[trace.problem_id])
    }
    total = len(set(keys))
    done = total - len(waiting)
    report("verified", done, total)
    for batch in batches(waiting.items()):
        judged = [problem for _, (problem, _) in batch]
        verdicts = verify(judged, [code for _, (_, code) in batch], workers=workers)
        journal.append(
            {"kind": "verdict", "key": key, **_written(verdict)}
            for (key, _), verdict in zip(batch, verdicts, strict=True)
        )
        done += len(batch)
        report("verified", done, total)
    return [replace(trace, verdict=_verdict(journal, key)) for key, trace in zip(keys, traces, strict=True)]


def _settled(record: Mapping[str, Any] | None, problem: Problem) -> bool:
    # "unknown" with tests at hand means that the runner broke: judge again
    return record is not None and (record["status"] != "unknown" or problem.tests is None)


def _written(verdict: Verdict) -> dict[str, Any]:
    return {name: redact(value) if isinstance(value, str) else value for name, value in asdict(verdict).items()}


def _verdict_key(problem: Problem, code: str | None) -> str:
    return hashlib.sha256(repr((problem.tests, problem.entry_point, code)).encode("utf-8", "replace")).hexdigest()[:32]


def _verdict(journal: Journal, key: str) -> Verdict:
    record = journal.get("verdict", key)
    assert record is not None  # _judge wrote it
    return Verdict(**{name: value for name, value in record.items() if name not in ("kind", "key")})
