"""Objective 4: where a right and a wrong solution part, prefer the right token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .base import ForwardState, Objective, gather_states


class PathwayDivergence(Objective):
    """
    Where the example and a failing trace of the same problem share a prefix, compare the two tokens at which they
    part: `-log sigmoid(log p(right) - log p(wrong) - margin)`. Both follow the same prefix, so the difference of
    log-probabilities is the difference of two logits of one state: no second forward, no full vocabulary.

    Args:
        margin (`float`): gamma, in nats.

    References:
        - "Learning to identify correct solution pathways": https://huggingface.co/papers/2510.17598
        - Direct preference optimisation, whose first differing token this is: https://huggingface.co/papers/2305.18290

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | divergence | (D, 4) | row, position, right token id, wrong token id |

    Requirements:
        A data set with a `rejected` column (a wrong completion of the same prompt).
    """

    name = "divergence"
    citation = "Reasoning Distillation and Structural Alignment for Improved Code Generation, 2025, arXiv 2510.17598"

    def __init__(self, margin: float = 0.0) -> None:
        super().__init__()
        self.margin = margin

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return torch.tensor(batch["divergence"].size(0), device=batch["divergence"].device)

    def forward(self, state: ForwardState) -> Tensor:
        rows, positions = state.batch["divergence"][:, :2].unbind(1)
        if rows.numel() == 0:
            return state.zero()
        states = gather_states(state.hidden_states, rows, positions - 1)
        right, wrong = state.token_logits(states, state.batch["divergence"][:, 2:]).unbind(1)
        return -nn.functional.logsigmoid(right - wrong - self.margin).sum()

    def get_config_dict(self) -> dict[str, Any]:
        return {"margin": self.margin}
