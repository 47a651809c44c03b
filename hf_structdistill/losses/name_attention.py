"""Objective 7: at each variable, heads of the student's own attention look at where its name was mentioned before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .base import Attention, ForwardState, Objective


class NameAttention(Objective):
    """
    Supervised attention for copying names: at the state that must emit a variable u, heads of one layer attend to
    earlier mentions of its name, in the problem, in the reasoning or in the code. With
    `p_h = sum_{c in mentions} softmax_{c < u} (q_h[u-1] . k_h[c] * scaling)`, what head h gives to the mentions:
    `-log mean_h p_h` over all heads of the layer, or, for a number of heads, `mean_h -log p_h`.

    The first is a task that the heads share: its gradient reaches each in proportion to what it finds already, and
    heads of a pretrained student that do something else are left to it. The second asks it of every one of the first
    heads, whatever they did before.

    Queries and keys are the model's, rotated and normed; there is nothing to learn beside the model. What such heads
    find is what induction heads find by themselves, after many more examples.

    Args:
        heads (`float`, *optional*): None shares the task among all heads of the layer; a number asks it of each of the
            first ones, below 1 of that share of them (at least one).

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
        Where the layer has a window, mentions beyond it are out of reach, and a variable that has no other adds 0; it
        counts all the same, for the number of items must not depend on the model.
        Memory is (occurrences of an example) x (its tokens) x heads, example by example; never T x T.
    """

    name = "attention"
    citation = "Olsson et al. 2022, In-context Learning and Induction Heads, arXiv 2209.11895"

    def __init__(self, heads: float | None = None) -> None:
        super().__init__()
        self.heads = heads

    def count(self, batch: Mapping[str, Tensor]) -> Tensor:
        return _mentioned_before(batch).sum()

    def forward(self, state: ForwardState) -> Tensor:
        if state.attention is None:
            raise InputError("NameAttention needs the queries and keys of a layer, and the state holds none.")
        heads = self._number(state.attention.queries.size(1))
        total = state.zero()
        for masses in _log_masses(state.attention, state.batch, heads):
            if self.heads is None:
                total = total - (masses.logsumexp(0) - math.log(heads)).sum()
            else:
                total = total - masses.sum() / heads
        return total

    def _number(self, of: int) -> int:
        if self.heads is None:
            return of
        heads = round(self.heads * of) if self.heads < 1 else int(self.heads)
        if heads > of:
            raise InputError(f"attention_heads must be at most {of}, the heads of the layer; found {self.heads:g}.")
        return max(heads, 1)

    def get_config_dict(self) -> dict[str, Any]:
        return {"heads": "shared" if self.heads is None else self.heads}


def attention_to_mentions(attention: Attention, batch: Mapping[str, Tensor]) -> Tensor:
    """(H, M): what each head gives, in all, to the earlier mentions of each variable that has one within its reach."""
    heads = attention.queries.size(1)
    found = [masses.exp() for masses in _log_masses(attention, batch, heads)]
    return torch.cat(found, 1) if found else attention.queries.new_zeros(heads, 0)


def _log_masses(attention: Attention, batch: Mapping[str, Tensor], heads: int) -> Iterator[Tensor]:
    """(h, m) for each example: the logarithm of what the first heads give to the mentions of its m variables."""
    # taken apart once: the gradient of an index is as large as what it is taken from
    queries = attention.queries[:, :heads].unbind()
    groups = torch.arange(heads, device=attention.keys.device) // (attention.queries.size(1) // attention.keys.size(1))
    keys = attention.keys[:, groups].unbind()
    for row, tokens, positions, mentions, visible in _examples(batch, attention.window):
        asking = queries[row][:, positions - 1].float()  # (h, m, a)
        scores = asking @ keys[row][:, tokens].float().transpose(1, 2) * attention.scaling  # (h, m, L)
        reach = scores.masked_fill(~visible, -torch.inf).logsumexp(-1)
        yield scores.masked_fill(~mentions, -torch.inf).logsumexp(-1) - reach


def _mentioned_before(batch: Mapping[str, Tensor], window: int | None = None) -> Tensor:
    """(M,) bool: the variables whose name began an earlier token of their example, at most `window` tokens before."""
    names, places = batch["name_ids"], batch["variable_positions"]
    keys = (batch["segment_ids"] * (names.max() + 1) + names).flatten()
    order = keys.argsort(stable=True)
    repeated = torch.zeros_like(keys, dtype=torch.bool)
    # the sort is stable: next to each other stand the nearest mentions
    repeated[order[1:]] = (keys[order].diff() == 0) & (order.diff() <= (window or len(order)))
    repeated = repeated.view_as(names) & (names > 0)
    return repeated[places[:, 0], places[:, 1]]


def _examples(batch: Mapping[str, Tensor], window: int | None) -> Iterator[tuple[int, slice, Tensor, Tensor, Tensor]]:
    """The examples in which variables were mentioned before, within reach of the state that must emit them.

    Yields the row; the example's L tokens there, up to its last variable; the positions (m,) of the variables in the
    row; and over the L tokens (m, L) bool, their mentions, and all that the state before a variable may attend to.
    """
    names, segments = batch["name_ids"], batch["segment_ids"]
    places = batch["variable_positions"][_mentioned_before(batch, window)]
    # the collator lists variables example by example
    numbers, sizes = segments[places[:, 0], places[:, 1]].unique_consecutive(return_counts=True)
    ends = sizes.cumsum(0)
    rows, stops = places[ends - 1].unbind(1)
    starts = (segments[rows] == numbers[:, None]).int().argmax(1) if len(rows) else rows
    # the loop asks the device for numbers once, not once an example
    for row, start, stop, first, end in torch.stack((rows, starts, stops, ends - sizes, ends), 1).tolist():
        positions = places[first:end, 1]
        tokens = torch.arange(start, stop, device=positions.device)
        visible = tokens < positions[:, None]
        if window is not None:
            visible &= tokens >= positions[:, None] - window
        mentions = visible & (names[row, start:stop] == names[row, positions][:, None])
        yield row, slice(start, stop), positions, mentions, visible
