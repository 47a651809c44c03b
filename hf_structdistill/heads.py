"""Keeps the objectives' heads in step with the model they live beside.

The heads are not part of the student: DDP, FSDP, clipping and `model.zero_grad()` never see them, and no export can
contain them. What those do for the model is done for the heads here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

HEADS_FILE = "structure_heads.safetensors"


class HeadsCallback(TrainerCallback):
    """Averages the heads' gradients over the ranks, clips them, and clears them after the optimizer step."""

    def __init__(self, heads: nn.Module) -> None:
        self.heads = heads

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        parameters = list(self.heads.parameters())
        if args.world_size > 1:
            for parameter in parameters:
                # a rank whose batches held nothing for a head has no gradient, and must take part all the same
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= args.world_size
        if args.max_grad_norm and parameters:
            nn.utils.clip_grad_norm_(parameters, args.max_grad_norm)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Trainer._run_epoch 5.23 calls model.zero_grad(), which does not reach the heads
        self.heads.zero_grad()


def save_heads(heads: nn.Module, folder: str | Path) -> None:
    """Write the heads' weights into a checkpoint folder."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in heads.state_dict().items()}
    if state:
        save_file(state, Path(folder) / HEADS_FILE)


def load_heads(heads: nn.Module, folder: str | Path) -> bool:
    """Read them back; False where the checkpoint has none (it was written by plain SFT)."""
    file = Path(folder) / HEADS_FILE
    if not file.is_file():
        return False
    heads.load_state_dict(load_file(file))
    return True
