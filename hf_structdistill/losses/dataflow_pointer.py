"""Objective 2: at each variable use, point at the definitions that reach it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .base import ForwardState, LowRankProjection, Objective, gather_states


class DataflowPointer(Objective):
    """
    Pointer loss over def-use edges: the state that must emit a variable use picks its reaching definitions among the
    earlier variable occurrences of the same example:
    `-log sum_{c in definitions} softmax_c(Q H[u-1] . K H[c] / sqrt(rank))`.

    Args:
        hidden_size (`int`): width d of the student.
        rank (`int`): width of the projections Q and K.

    References:
        - GraphCodeBERT, data flow as a pre-training signal: https://huggingface.co/papers/2009.08366
        - StructCoder, data-flow prediction in a decoder: https://huggingface.co/papers/2206.05239
        - Pointer networks: https://huggingface.co/papers/1506.03134

    Inputs:
        | key | shape | what |
        | --- | --- | --- |
        | dataflow_uses | (N, 2) | row, position of the use's first token |
        | dataflow_sources | (N, C) | positions of its reaching definitions, -1 padded |
        | variable_positions | (M, 2) | row, position of every variable occurrence |
        | segment_ids | (B, T) | example of the token |

    Requirements:
        A source lies before its use in the same example (the collator keeps no other).

    Relations:
        Memory is (examples x uses x occurrences), never T x T.
    """

    name = "dataflow"
    citation = "Guo et al. 2021, GraphCodeBERT: Pre-training Code Representations with Data Flow, arXiv 2009.08366"

    def __init__(self, hidden_size: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.query = LowRankProjection(hidden_size, rank)
        self.key = LowRankProjection(hidden_size, rank)

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return torch.tensor(batch["dataflow_uses"].size(0), device=batch["dataflow_uses"].device)

    def forward(self, state: ForwardState) -> Tensor:
        uses, occurrences = state.batch["dataflow_uses"], state.batch["variable_positions"]
        if uses.size(0) == 0:
            return state.zero()
        segment_ids = state.batch["segment_ids"]
        use_cell = _Cells(segment_ids[uses[:, 0], uses[:, 1]])
        key_cell = _Cells(segment_ids[occurrences[:, 0], occurrences[:, 1]], use_cell.names)

        queries = self.query(gather_states(state.hidden_states, uses[:, 0], uses[:, 1] - 1))
        keys = self.key(gather_states(state.hidden_states, occurrences[:, 0], occurrences[:, 1]))
        scores = torch.bmm(use_cell.pad(queries), key_cell.pad(keys).transpose(1, 2)) * self.rank**-0.5  # (S, U, M)
        scores = use_cell.unpad(scores)  # (N, M)

        key_positions = key_cell.pad(occurrences[:, 1].unsqueeze(1), fill=-1).squeeze(2)[use_cell.group]  # (N, M)
        earlier = (key_positions >= 0) & (key_positions < uses[:, 1:])
        true = (key_positions.unsqueeze(2) == state.batch["dataflow_sources"].unsqueeze(1)).any(2) & earlier
        log_all = scores.masked_fill(~earlier, -torch.inf).logsumexp(1)
        log_true = scores.masked_fill(~true, -torch.inf).logsumexp(1)
        return (log_all - log_true).sum()

    def get_config_dict(self) -> dict[str, Any]:
        return {"rank": self.rank}


class _Cells:
    """Lays out items grouped by example as a padded (examples, most items, ...) tensor and back."""

    def __init__(self, segments: Tensor, names: Tensor | None = None) -> None:
        self.names = segments.unique() if names is None else names  # sorted
        place = torch.searchsorted(self.names, segments).clamp(max=self.names.numel() - 1)
        self.kept = self.names[place] == segments
        self.group = place[self.kept]
        order = torch.argsort(self.group, stable=True)
        sizes = torch.bincount(self.group, minlength=self.names.numel())
        starts = sizes.cumsum(0) - sizes
        slot = torch.empty_like(order)
        slot[order] = torch.arange(order.numel(), device=order.device) - starts[self.group[order]]
        self.slot, self.width = slot, int(sizes.max())

    def pad(self, items: Tensor, fill: float = 0) -> Tensor:
        """(n, ...) -> (groups, width, ...)"""
        cells = items.new_full((self.names.numel(), self.width, *items.shape[1:]), fill)
        return cells.index_put((self.group, self.slot), items[self.kept])

    def unpad(self, cells: Tensor) -> Tensor:
        """(groups, width, ...) -> (n, ...)"""
        return cells[self.group, self.slot]
