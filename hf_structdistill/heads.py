"""Trains the objectives' heads beside the model they read.

The heads are not part of the student: DDP, FSDP, clipping and `model.zero_grad()` never see them, and no export can
contain them. What those do for the model is done for the heads here. They have an optimizer of their own, because a
sharded model's optimizer takes none but the model's parameters, and so that a checkpoint's `optimizer.pt` fits any
choice of objectives, plain SFT included.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

HEADS_FILE = "structure_heads.safetensors"
OPTIMIZER_FILE = "structure_heads_optimizer.pt"

logger = logging.getLogger(__name__)


class HeadsCallback(TrainerCallback):
    """Averages the heads' gradients over the ranks, clips them and takes a step of AdamW with them.

    Args:
        heads: the modules that hold the heads; no parameters at all is fine.
        args: `StructureAwareConfig`; betas, epsilon and clipping are those of the model's optimizer.
        accelerator: whose gradient scaler, if any (fp16), scaled the loss.
    """

    def __init__(self, heads: nn.Module, args: Any, accelerator: Any) -> None:
        self.heads, self.accelerator = heads, accelerator
        self.parameters = list(heads.parameters())
        self.rate = args.structure_head_learning_rate or args.learning_rate
        self.optimizer: torch.optim.Optimizer | None = None
        if self.parameters:
            self.optimizer = torch.optim.AdamW(
                self.parameters,
                lr=self.rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                weight_decay=0.0,
            )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.heads.zero_grad()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.optimizer is None:
            return
        if args.world_size > 1:
            average_gradients(self.parameters)
        # torch 2.13's scaler refuses a step in which nothing has a gradient
        if all(parameter.grad is None for parameter in self.parameters):
            return
        scaler = self.accelerator.scaler
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        if args.max_grad_norm:
            nn.utils.clip_grad_norm_(self.parameters, args.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * _schedule(kwargs.get("optimizer"), args.learning_rate)
        # the scale itself is updated by the model's optimizer, which steps next
        self.optimizer.step() if scaler is None else scaler.step(self.optimizer)
        self.optimizer.zero_grad()

    def save(self, folder: str | Path) -> None:
        """Write the heads and the state of their optimizer into a checkpoint folder."""
        if self.optimizer is not None:
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.heads.state_dict().items()}
            save_file(state, Path(folder) / HEADS_FILE)
            torch.save(self.optimizer.state_dict(), Path(folder) / OPTIMIZER_FILE)

    def load(self, folder: str | Path) -> None:
        """Read them back. Heads that the checkpoint does not have start afresh, with a warning."""
        if self.optimizer is None:
            return
        file = Path(folder) / HEADS_FILE
        saved, own = load_file(file) if file.is_file() else {}, self.heads.state_dict()
        fresh = sorted(name for name in own if name not in saved or saved[name].shape != own[name].shape)
        self.heads.load_state_dict({name: saved[name] for name in own if name not in fresh}, strict=False)
        if fresh:
            logger.warning("The checkpoint in %s has no weights for %s: they start afresh.", folder, ", ".join(fresh))
        elif set(saved) == set(own):
            self.optimizer.load_state_dict(torch.load(Path(folder) / OPTIMIZER_FILE, weights_only=True))

    def load_beside(self, folder: str | Path) -> None:
        """Read back the weights that belong to the best student, for evaluations after the training.

        A checkpoint of the student alone (`save_only_model`) has none: the last ones stay, with a warning.
        """
        file = Path(folder) / HEADS_FILE
        if file.is_file():
            self.heads.load_state_dict(load_file(file))
        elif self.optimizer is not None:
            logger.warning("The best checkpoint, %s, has no heads: those of the last step are evaluated.", folder)


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks, in one collective."""
    # a rank whose batches held nothing for a head has no gradient, and must take part all the same
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = mean.view_as(parameter)


def _schedule(optimizer: torch.optim.Optimizer | None, learning_rate: float) -> float:
    """Where the model's learning rate stands in its schedule, as a factor."""
    if optimizer is None:
        return 1.0
    group = optimizer.param_groups[0]
    # ReduceLROnPlateau keeps no initial_lr
    initial = group.get("initial_lr", learning_rate)
    return float(group["lr"] / initial) if initial else 1.0
