"""Objective 5: the problem, as the student sees it, against the embeddings of all solutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .base import ForwardState, LowRankProjection, Objective, gather_states


class ProblemSolutionAlignment(Objective):
    """
    InfoNCE between the projected state just before the code starts and a frozen bank of embeddings of the training
    solutions and failing mutants. The bank makes the loss separable per example: it does not depend on the batch.
    Several right solutions of one problem are all positives.

    Args:
        hidden_size (`int`): width d of the student.
        bank (`torch.Tensor`): (R, e) float32, unit rows, frozen.
        temperature (`float`): of the softmax.

    References:
        - "Structural correspondence between problem definitions and solutions":
          https://huggingface.co/papers/2510.17598
        - InfoNCE: https://huggingface.co/papers/1807.03748

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | code_starts | (A, 2) | row, position of an example's first code token |
        | bank_rows | (A, P) | rows of the bank that solve the example's problem, -1 padded |

    Requirements:
        A finite prompt-completion data set, from which the trainer builds the bank.
    """

    name = "alignment"
    citation = "Reasoning Distillation and Structural Alignment for Improved Code Generation, 2025, arXiv 2510.17598"

    def __init__(self, hidden_size: int, bank: Tensor, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.project = LowRankProjection(hidden_size, bank.size(1))
        self.register_buffer("bank", bank.float(), persistent=False)

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (batch["bank_rows"] >= 0).any(1).sum()

    def forward(self, state: ForwardState) -> Tensor:
        known = (state.batch["bank_rows"] >= 0).any(1)
        starts, positives = state.batch["code_starts"][known], state.batch["bank_rows"][known]
        if starts.size(0) == 0:
            return state.zero()
        problems = self.project(gather_states(state.hidden_states, starts[:, 0], starts[:, 1] - 1))
        scores = torch.nn.functional.normalize(problems, dim=1) @ self.bank.T / self.temperature  # (A, R)
        right = scores.gather(1, positives.clamp(min=0)).masked_fill(positives < 0, -torch.inf)
        return (scores.logsumexp(1) - right.logsumexp(1)).sum()

    def get_config_dict(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "bank_rows": self.bank.size(0)}
