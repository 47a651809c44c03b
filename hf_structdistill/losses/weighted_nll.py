"""Objective 1: structure-weighted negative log-likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .base import ForwardState, Objective, target_mask


class WeightedNLL(Objective):
    """
    Negative log-likelihood in which structural tokens of the code weigh more.

    Inside the code a token weighs `1 + beta * s` with its structure score s in [0, 1], divided by the mean of that
    over the example's code; reasoning tokens weigh `reasoning_weight`, code tokens `code_weight` times theirs; then
    the weights of an example are scaled to sum to its token count. Mass moves inside the code and between reasoning
    and code, never between examples, and the normaliser stays the number of supervised tokens.

    Args:
        structure_weight (`float`): beta at full strength.
        reasoning_weight (`float`): weight of supervised tokens outside code.
        code_weight (`float`): weight of supervised tokens inside code.

    References:
        - Rho-1, selective language modelling: https://huggingface.co/papers/2404.07965
        - CodeBlock, structural token weights: https://huggingface.co/papers/2606.18286

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | structure_score | (B, T) | s in [0, 1] |
        | code_mask | (B, T) | token lies in code |
        | segment_ids | (B, T) | example of the token, -1 on padding |

    Relations:
        With beta 0 and both weights 1 every weight is 1: plain SFT.
    """

    name = "weighted_nll"
    citation = "Lin et al. 2024, Rho-1: Not All Tokens Are What You Need, arXiv 2404.07965"

    def __init__(self, structure_weight: float, reasoning_weight: float = 1.0, code_weight: float = 1.0) -> None:
        super().__init__()
        self.structure_weight = structure_weight
        self.reasoning_weight = reasoning_weight
        self.code_weight = code_weight

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return target_mask(batch["labels"]).sum()

    def weights(self, mask: Tensor, batch: Mapping[str, Tensor], strength: float = 1.0) -> Tensor:
        """(B, T) float32 weights; 0 outside `mask` (B, T) bool."""
        code = mask & batch["code_mask"]
        raw = 1 + strength * self.structure_weight * batch["structure_score"].float()
        raw = _scale_per_segment(raw, code, batch["segment_ids"])
        raw = torch.where(code, raw * self.code_weight, torch.full_like(raw, self.reasoning_weight))
        return _scale_per_segment(raw, mask, batch["segment_ids"])

    def forward(self, state: ForwardState, strength: float = 1.0) -> Tensor:
        """Sum of weight * NLL; `strength` in [0, 1] is the curriculum's share of beta."""
        return -(self.weights(state.target_mask, state.batch, strength) * state.log_probs).sum()

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "structure_weight": self.structure_weight,
            "reasoning_weight": self.reasoning_weight,
            "code_weight": self.code_weight,
        }


def _scale_per_segment(weights: Tensor, mask: Tensor, segment_ids: Tensor) -> Tensor:
    """Scale `weights` so that within each segment their mean over `mask` is 1; zero outside it."""
    kept = torch.where(mask, weights, torch.zeros_like(weights))
    index = segment_ids.clamp(min=0).flatten()
    size = int(index.max()) + 1
    total = kept.new_zeros(size).index_add_(0, index, kept.flatten())
    number = kept.new_zeros(size).index_add_(0, index, mask.flatten().to(kept.dtype))
    # a segment whose masked weights sum to 0 (reasoning_weight 0, no code) keeps zeros instead of 0 / 0
    scale = torch.where(total > 0, number / total.clamp(min=torch.finfo(kept.dtype).tiny), torch.zeros_like(total))
    return kept * scale[index].view_as(kept)
