"""What each of several processes runs: `torchrun worker.py jobs.json`, a list of training runs.

A job names its folder and its options; the folder gets `log.json` and, for each rank, the weights it ends with.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoModelForCausalLM, TrainerCallback
from transformers.distributed import DistributedConfig

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from tests.training import tiny


def make_trainer(
    folder: str, *, tied: bool = True, sharded: str | None = None, **options: Any
) -> StructureAwareTrainer:
    """A tiny trainer; `sharded` is the folder of a base to shard over two processes."""
    model: Any = tiny.student(tied=tied)
    if sharded:
        # FSDP2 by transformers: accelerate's own shards on accelerators only
        model = AutoModelForCausalLM.from_pretrained(sharded, distributed_config=DistributedConfig(fsdp_size=2))
    trainer = StructureAwareTrainer(
        model=model,
        args=StructureAwareConfig(**tiny.settings(folder, **(tiny.ALL_ON | options))),
        train_dataset=tiny.dataset(16, columns=tiny.WITH_REJECTED),
        processing_class=tiny.tokenizer(),
    )
    if options.get("optim") == "sgd":  # the update is the gradient, of the heads as well
        trainer.heads.optimizer = torch.optim.SGD(trainer.heads.parameters, lr=trainer.heads.rate)
    return trainer


def whole(weights: torch.Tensor) -> torch.Tensor:
    weights = weights.detach()
    return (weights.full_tensor() if hasattr(weights, "full_tensor") else weights).clone()


def weights_of(trainer: StructureAwareTrainer) -> dict[str, torch.Tensor]:
    named = [*trainer.model.named_parameters(), *trainer.objectives.named_parameters()]
    return {name: whole(weights) for name, weights in named}


class Killed(TrainerCallback):
    """The process is gone, without a word, between two micro-batches of the step after `step`."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def run(folder: str, resume: str | None = None, killed_after: int | None = None, **options: Any) -> None:
    trainer = make_trainer(folder, **options)
    if killed_after is not None:
        trainer.add_callback(Killed(killed_after))
    trainer.train(resume_from_checkpoint=resume)
    torch.save(weights_of(trainer), Path(folder) / f"weights-{trainer.args.process_index}.pt")
    if trainer.is_world_process_zero():
        (Path(folder) / "log.json").write_text(json.dumps(trainer.state.log_history))


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text()):
        Path(job["folder"]).mkdir(parents=True, exist_ok=True)
        run(**job)
    PartialState().destroy_process_group()
