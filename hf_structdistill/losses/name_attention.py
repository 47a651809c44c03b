"""Objective 7: at each variable, heads of the student's own attention look at where its name was mentioned before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .base import ForwardState, Objective


class NameAttention(Objective):
    """
    Supervised attention for copying names: at the state that must emit a variable u, some heads of one layer attend to
    earlier mentions of its name, in the problem, in the reasoning or in the code:
    `-log sum_{c in mentions} softmax_{c < u} (q[u-1] . k[c] * scaling)`, mean over the heads.

    Queries and keys are the model's, rotated and normed; there is nothing to learn beside the model. What such heads
    find is what induction heads find by themselves, after many more examples.

    Args:
        heads (`int`): how many heads, the first ones of the layer.

    References:
        - Heads that copy what followed before: https://huggingface.co/papers/2209.11895
        - Guiding attention heads speeds up learning: https://huggingface.co/papers/2010.02399

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | variable_positions | (M, 2) | row, position of every supervised variable occurrence |
        | name_ids | (B, T) | the name that begins at the token, 0 for none |
        | segment_ids | (B, T) | example of the token |

    Requirements:
        `ForwardState.attention`: a model whose attention transformers dispatches.

    Relations:
        Memory is (occurrences of a row) x T x heads, row by row; never T x T.
    """

    name = "attention"
    citation = "Olsson et al. 2022, In-context Learning and Induction Heads, arXiv 2209.11895"

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        rows = _rows_with_mentions(batch)
        device = batch["variable_positions"].device
        return torch.tensor(sum(positions.numel() for _, positions, _, _ in rows), device=device)

    def forward(self, state: ForwardState) -> Tensor:
        if state.attention is None:
            raise InputError("NameAttention needs the queries and keys of a layer, and the state holds none.")
        queries, keys, scaling = state.attention
        if self.heads > queries.size(1):
            raise InputError(f"attention_heads must be at most {queries.size(1)}, the heads of the layer.")
        # heads share keys in groups
        groups = torch.arange(self.heads, device=keys.device) // (queries.size(1) // keys.size(1))
        total = state.zero()
        for row, positions, mentions, visible in _rows_with_mentions(state.batch):
            asking = queries[row, : self.heads, positions - 1].float()  # (h, m, a)
            scores = asking @ keys[row, groups].float().transpose(1, 2) * scaling  # (h, m, T)
            seen = scores.masked_fill(~visible, -torch.inf).logsumexp(-1)
            found = scores.masked_fill(~mentions, -torch.inf).logsumexp(-1)
            total = total + (seen - found).sum() / self.heads
        return total

    def get_config_dict(self) -> dict[str, Any]:
        return {"heads": self.heads}


def _rows_with_mentions(batch: Mapping[str, Tensor]) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    """For each row: positions (m,) of variables that were mentioned before, the mentions (m, T) and all that a query
    at the token before may attend to (m, T), both bool."""
    names, segments = batch["name_ids"], batch["segment_ids"]
    places = batch["variable_positions"]
    steps = torch.arange(names.size(1), device=names.device)
    found = []
    for row in places[:, 0].unique().tolist():
        positions = places[places[:, 0] == row, 1]
        visible = (steps < positions[:, None]) & (segments[row] == segments[row, positions][:, None])
        own = names[row, positions][:, None]
        mentions = visible & (names[row] == own) & (own > 0)
        known = mentions.any(1)
        if known.any():
            found.append((row, positions[known], mentions[known], visible[known]))
    return found
