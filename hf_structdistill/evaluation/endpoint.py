"""Completions from an OpenAI-compatible endpoint (vLLM, TGI, Inference Providers) in place of a model here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..problems.problem import Problem
from ..teachers.base import Reply, Request
from ..teachers.inference import InferenceTeacher
from .completion import Completion, cut_at
from .prompts import StudentPrompt


def iterate_endpoint(
    model: str,
    base_url: str,
    problems: Sequence[Problem],
    prompts: Sequence[StudentPrompt],
    *,
    samples: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    concurrency: int = 32,
    retries: int = 6,
    backoff: float = 1.0,
) -> Iterator[list[Completion]]:
    """Yield completions as they come in; `index` counts the prompts.

    Args:
        model: the name the endpoint knows it by.
        base_url: e.g. `"http://localhost:8000/v1"`.
        prompts: of each request, as chat messages.
        samples: the number of each sample of its problem (seeds differ by it).
        retries, backoff: passing failures (429, 5xx, lost connections) are asked again, with growing waits.

    Raises:
        InputError: the endpoint refuses the token or does not know the model; or, after everything else has been
            yielded, requests that failed for good.
    """
    teacher = InferenceTeacher(
        model,
        base_url=base_url,
        max_tokens=max_new_tokens,
        concurrency=concurrency,
        retries=retries,
        backoff=backoff,
        keep_empty=True,  # a student that says nothing is wrong, not unreachable
    )
    sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_new_tokens}
    requests = [
        _request(model, problem, asked, {**sampling, "seed": seed + sample}, sample)
        for problem, asked, sample in zip(problems, prompts, samples, strict=True)
    ]
    index = {(request.problem_id, request.sample): i for i, request in enumerate(requests)}
    failures = []
    before = time.perf_counter()
    for answers in teacher.replies(zip(requests, problems, strict=True)):
        failures += [reply.error for _, reply in answers if reply.error]
        now = time.perf_counter()
        seconds = (now - before) / max(1, len(answers))  # requests overlap: this adds up to the time it took
        before = now
        yield [_completion(index, prompts, request, reply, seconds) for request, reply in answers if not reply.error]
    if failures:
        raise InputError(
            f"{len(failures)} of {len(requests)} requests to {base_url} failed, the last with '{failures[-1]}'; "
            "the others are kept: run the same command again to ask for these."
        )


def _request(model: str, problem: Problem, asked: StudentPrompt, sampling: dict[str, Any], sample: int) -> Request:
    stop = {"stop": list(asked.stop)} if asked.stop else {}
    return Request(
        problem_id=problem.id,
        teacher=model,
        recipe="evaluation",
        messages=tuple(asked.prompt),
        sampling={**sampling, **stop},
        sample=sample,
    )


def _completion(
    index: Mapping[tuple[str, int], int],
    prompts: Sequence[StudentPrompt],
    request: Request,
    reply: Reply,
    seconds: float,
) -> Completion:
    number = index[request.problem_id, request.sample]
    text = cut_at(_text(reply), prompts[number].stop)  # not every server takes `stop`
    return Completion(number, text, reply.completion_tokens, reply.finish_reason, seconds)


def _text(reply: Reply) -> str:
    """Reasoning that the server sends beside the reply goes where a model writes it itself."""
    return f"<think>\n{reply.reasoning_content}\n</think>\n{reply.text}" if reply.reasoning_content else reply.text
