"""Which example made a loss not finite: looked up only after it has happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .losses import ForwardState

SHOWN = 3
TOKENS_SHOWN = 24


def explain_non_finite(state: ForwardState, values: Mapping[str, Tensor], tokenizer: Any) -> str:
    """One line: the examples whose states or log-probabilities are not finite, or else the objectives at fault.

    Args:
        state: the forward of the micro-batch.
        values: value of each objective on it.
        tokenizer: to show how an example begins.
    """
    segments = state.batch["segment_ids"]
    sound = torch.isfinite(state.hidden_states).all(2) & torch.isfinite(state.log_probs)
    found = segments[~sound & (segments >= 0)].unique().tolist()
    number = int(segments.max()) + 1
    if not found:
        names = [name for name, value in values.items() if not torch.isfinite(value)]
        culprit = f"the model's states are, the objective {', '.join(names) or '(none)'} is not"
        return f"{culprit}. Set its coefficient to 0.0, or lower structure_head_learning_rate."
    if len(found) == number > 1:
        return (
            f"none of the {number} examples of the micro-batch has finite states: the weights themselves are off. "
            "Go back to an earlier checkpoint with a lower learning_rate, or clip by max_grad_norm."
        )
    shown = "; ".join(_place(state, segment, tokenizer) for segment in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{len(found)} of {number} examples of the micro-batch are at fault: {shown}{more}. Mend or drop them."


def _place(state: ForwardState, segment: int, tokenizer: Any) -> str:
    """Row and beginning of an example."""
    rows, positions = (state.batch["segment_ids"] == segment).nonzero(as_tuple=True)
    text = tokenizer.decode(state.batch["input_ids"][rows, positions][:TOKENS_SHOWN].tolist())
    return f"row {int(rows[0])}, which begins {text!r}"
