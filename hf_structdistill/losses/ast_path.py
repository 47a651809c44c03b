"""Objective 3: the types of the next token's ancestors in the syntax tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .base import ForwardState, LowRankProjection, Objective, gather_states, target_mask


class AstPath(Objective):
    """
    From the state that predicts token t, the types of t's first k ancestors, nearest first: a causal form of
    StructCoder's root-to-leaf path prediction. One low-rank trunk is shared by the k classifiers.

    Args:
        hidden_size (`int`): width d of the student.
        num_node_types (`int`): number of node types of the grammar.
        num_ancestors (`int`): k.
        rank (`int`): width of the trunk.

    References:
        - StructCoder: https://huggingface.co/papers/2206.05239

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | ancestor_types | (B, T, k) | type of the i-th ancestor, -100 where there is none |
        | labels | (B, T) | -100 where unsupervised |
    """

    name = "ast_path"
    citation = "Tipirneni et al. 2022, StructCoder: Structure-Aware Transformer for Code Generation, arXiv 2206.05239"

    def __init__(self, hidden_size: int, num_node_types: int, num_ancestors: int, rank: int) -> None:
        super().__init__()
        self.num_node_types, self.num_ancestors, self.rank = num_node_types, num_ancestors, rank
        self.trunk = LowRankProjection(hidden_size, rank)
        self.classifiers = LowRankProjection(rank, num_ancestors * num_node_types)

    def _targets(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Nothing for the first token of an example, which no state of its own predicts."""
        predicted = target_mask(batch["labels"])  # in flattened rows TRL unsupervises first tokens
        return batch["ancestor_types"].masked_fill(~predicted.unsqueeze(2), -100)

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (self._targets(batch) != -100).sum()

    def forward(self, state: ForwardState) -> Tensor:
        targets = self._targets(state.batch)
        rows, positions = (targets != -100).any(2).nonzero(as_tuple=True)
        if rows.numel() == 0:
            return state.zero()
        states = gather_states(state.hidden_states, rows, positions - 1)
        logits = self.classifiers(self.trunk(states)).view(-1, self.num_node_types)  # (N * k, types)
        return nn.functional.cross_entropy(
            logits, targets[rows, positions].flatten(), ignore_index=-100, reduction="sum"
        )

    def get_config_dict(self) -> dict[str, Any]:
        return {"num_ancestors": self.num_ancestors, "rank": self.rank}
