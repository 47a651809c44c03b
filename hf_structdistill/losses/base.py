"""What every objective shares: its inputs, its normaliser, and its place in the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Attention:
    """What one attention layer attends with.

    Attributes:
        queries: (B, H, T, a), as they enter the dot products.
        keys: (B, G, T, a), G <= H: heads share keys in groups.
        scaling: factor of the dot products.
        window: to how many tokens back, itself included, a token may attend; None for all.
    """

    queries: Tensor
    keys: Tensor
    scaling: float
    window: int | None = None


@dataclass(frozen=True)
class ForwardState:
    """One forward pass of the student, as the objectives see it.

    Attributes:
        hidden_states: (B, T, d), last layer; the state at t-1 predicts token t.
        log_probs: (B, T) float32, log p(token t | before); 0 where `target_mask` is False.
        target_mask: (B, T) bool, the supervised tokens that something predicts (never position 0 of a row).
        batch: the structure tensors of `StructureAwareDataCollator`.
        token_logits: `(states (N, d), token ids (N, C)) -> (N, C)` logits of C tokens, without the full vocabulary.
        attention: of one layer; None when no objective asks for it.
    """

    hidden_states: Tensor
    log_probs: Tensor
    target_mask: Tensor
    batch: Mapping[str, Tensor]
    token_logits: Callable[[Tensor, Tensor], Tensor]
    attention: Attention | None = None

    def zero(self) -> Tensor:
        """A zero that gradients flow through, for a batch in which an objective has nothing to say."""
        return self.hidden_states[:0].float().sum()


class Objective(nn.Module, ABC):
    """Base class. `forward` returns the sum over items, `count` the number of items; the trainer divides by the
    count over all micro-batches and ranks of the optimizer step, so that the loss does not depend on how it is cut.
    """

    name: str
    citation: str

    @abstractmethod
    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Number of items of one collated batch, a scalar tensor."""

    @abstractmethod
    def forward(self, state: ForwardState) -> Tensor:
        """Sum over the batch's items, a differentiable scalar in float32."""

    def get_config_dict(self) -> dict[str, Any]:
        """The settings that a card should show."""
        return {}


def target_mask(labels: Tensor) -> Tensor:
    """(B, T) bool: supervised tokens; position 0 of a row is never predicted."""
    mask = labels != -100
    mask[:, 0] = False
    return mask


def gather_states(hidden_states: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
    """(N, d) float32 states at (rows, positions)."""
    return hidden_states[rows, positions].float()


class LowRankProjection(nn.Module):
    """A bias-free float32 projection whose output has unit scale for unit-scale states."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features, dtype=torch.float32))
        nn.init.normal_(self.weight, std=in_features**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        return nn.functional.linear(states, self.weight)
