"""Objective 6: the baseline to beat, our reading of the paper's embedding loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .base import ForwardState, LowRankProjection, Objective, gather_states


class EmbeddingCosine(Objective):
    """
    `1 - cos(W mean H over the code, e_ref)`: the mean state over an example's code, projected, against the frozen
    embedding of the reference solution.

    Kept as the baseline to beat. Under teacher forcing those states have already read the reference, so the target
    can be copied rather than anticipated; do not expect it to teach planning.

    Args:
        hidden_size (`int`): width d of the student.
        bank (`torch.Tensor`): (R, e) float32, unit rows, frozen.

    References:
        - https://huggingface.co/papers/2510.17598 (the paper gives no code; this is our reading)

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | code_mask, segment_ids | (B, T) | tokens in code; example of the token |
        | code_starts | (A, 2) | row, position of an example's first code token |
        | bank_rows | (A, P) | rows of the bank that solve the example's problem; the first is the reference |
    """

    name = "embedding"
    citation = "Reasoning Distillation and Structural Alignment for Improved Code Generation, 2025, arXiv 2510.17598"

    def __init__(self, hidden_size: int, bank: Tensor) -> None:
        super().__init__()
        self.project = LowRankProjection(hidden_size, bank.size(1))
        self.register_buffer("bank", bank.float(), persistent=False)

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (batch["bank_rows"] >= 0).any(1).sum()

    def forward(self, state: ForwardState) -> Tensor:
        known = (state.batch["bank_rows"] >= 0).any(1)
        starts, rows = state.batch["code_starts"][known], state.batch["bank_rows"][known]
        if starts.size(0) == 0:
            return state.zero()
        segment_ids, number = state.batch["segment_ids"], starts.size(0)
        # (B, T): which of the A examples a code token belongs to, -1 for none; only those states are read
        slot = segment_ids.new_full((int(segment_ids.max()) + 1,), -1)
        slot[segment_ids[starts[:, 0], starts[:, 1]]] = torch.arange(number, device=slot.device)
        inside = state.batch["code_mask"] & (segment_ids >= 0)
        example = slot[segment_ids.clamp(min=0)].masked_fill(~inside, -1)
        cells = (example >= 0).nonzero(as_tuple=True)
        states, example = gather_states(state.hidden_states, *cells), example[cells]
        total = states.new_zeros(number, states.size(1)).index_add(0, example, states)
        mean = total / torch.bincount(example, minlength=number).clamp(min=1).unsqueeze(1)  # (A, d)
        reference = self.bank[rows[:, 0].clamp(min=0)]
        return (1 - torch.nn.functional.cosine_similarity(self.project(mean), reference, dim=1)).sum()
