"""Where the gradient of each objective goes: its norm beside that of the NLL, and whether both point the same way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hf_structdistill import StructureAwareTrainer

EVERY = 50  # optimizer steps


class GradientProbe(StructureAwareTrainer):
    """The trainer, which also measures the gradient of each term on the student's weights every `EVERY` steps.

    `measured` has a row for each objective and probed step: `step`, `objective`, `ratio` (norm of the gradient of the
    term's mean, coefficient left out, over the norm of the NLL's) and `cosine` to the NLL's gradient. The weighted NLL
    counts as what its weights add to the plain one, at full strength.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.measured: list[dict[str, Any]] = []

    def _structure_loss(self, state: Any, scaled_over_step: bool) -> Tensor:
        if self.model.training and self.state.global_step % EVERY == 0:
            self._probe(state)
        return super()._structure_loss(state, scaled_over_step)

    def _probe(self, state: Any) -> None:
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        tokens = state.target_mask.sum()
        plain = _gradient(-state.log_probs.sum() / tokens, weights)
        for name, objective in self.objectives.items():
            items = int(objective.count(state.batch))
            if items == 0:
                continue
            term = objective(state, 1.0) + state.log_probs.sum() if name == "weighted_nll" else objective(state)
            found = _gradient(term / items, weights)
            self.measured.append(
                {
                    "step": self.state.global_step,
                    "objective": name,
                    "ratio": float(found.norm() / plain.norm()),
                    "cosine": float(torch.nn.functional.cosine_similarity(found, plain, dim=0)),
                }
            )


def _gradient(loss: Tensor, weights: Iterable[Tensor]) -> Tensor:
    weights = list(weights)
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(w) if g is None else g).flatten() for g, w in zip(found, weights, strict=True)]
    )
