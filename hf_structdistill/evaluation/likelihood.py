"""Bits per byte: how well a student predicts the reference code, comparable across tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..problems.problem import Problem
from ..problems.prompting import format_completion, student_prompt
from .generate import context_length, encode_prompt
from .prompts import StudentPrompt


def bits_per_byte(
    model: Any,
    tokenizer: Any,
    problems: Sequence[Problem],
    *,
    prompts: Sequence[StudentPrompt | str] | None = None,
    batch_size: int = 16,
    progress: Callable[[int], None] | None = None,
) -> float | None:
    """Negative log2-likelihood of the references as the prompts ask for them, divided by their length in bytes.

    Args:
        model, tokenizer: loaded, see [`load_student`].
        problems: those without a reference are left out, as are those longer than the model's context.
        prompts: what stands before; by default the prompt a student is trained with. Where it asks for an answer, the
            reference comes in its fenced block; where it reads code, bare; where code goes on, without its head.
        progress: called after each batch with the number of problems so far.

    Returns:
        total bits / total bytes, or None when no problem has a reference.
    """
    rows = []
    for index, problem in enumerate(problems):
        if problem.reference:
            given = prompts[index] if prompts is not None else student_prompt(problem)
            asked = given if isinstance(given, StudentPrompt) else StudentPrompt(given)
            block = _expected(problem, asked.reads)
            before = encode_prompt(tokenizer, asked.prompt)
            target = tokenizer(block, add_special_tokens=False)["input_ids"]
            if before and len(before) + len(target) <= context_length(model):
                rows.append((before, target, len(block.encode())))
    rows.sort(key=lambda row: len(row[0]) + len(row[1]))
    nats = 0.0
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        nats += _negative_log_likelihood(model, [(before, target) for before, target, _ in batch])
        if progress is not None:
            progress(start + len(batch))
    size = sum(row[2] for row in rows)
    return nats / math.log(2) / size if size else None


def _expected(problem: Problem, reads: str) -> str:
    """The reference as a completion of the prompt."""
    reference = problem.reference or ""
    if reads == "answer":
        return format_completion("", reference)
    return reference.removeprefix(problem.prompt) if reads == "continues" else reference


def _negative_log_likelihood(model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> float:
    """Sum over the target tokens of a right-padded batch, in nats."""
    width = max(len(before) + len(target) for before, target in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    attention = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for i, (before, target) in enumerate(rows):
        end = len(before) + len(target)
        ids[i, :end] = torch.tensor(before + target)
        attention[i, :end] = 1
        labels[i, len(before) : end] = torch.tensor(target)
    with torch.inference_mode():
        logits = model(input_ids=ids.to(model.device), attention_mask=attention.to(model.device)).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1),
        labels[:, 1:].flatten().to(logits.device),
        ignore_index=-100,
        reduction="sum",
    )
    return float(loss)
