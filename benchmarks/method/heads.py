"""How much of its attention each head of a student gives to earlier mentions of the name that comes next."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from hf_structdistill.compat import AttentionRecorder, attention_layers
from hf_structdistill.losses.name_attention import attention_to_mentions

from .experiment import make_trainer
from .setting import Run


def name_masses(run: Run, folder: str, batches: int) -> list[dict[str, Any]]:
    """A row a layer: the mean over all variables that were mentioned before, head by head, before any training."""
    trainer = make_trainer(run, folder, None)
    transformers.set_seed(run.seed)  # the order by length comes from the global generator
    seen = [batch for batch, _ in zip(trainer.get_train_dataloader(), range(batches), strict=False)]
    model = trainer.model.eval()
    rows = []
    for layer in attention_layers(model):
        found = []
        for batch in seen:
            recorder = AttentionRecorder(model, layer)
            with torch.inference_mode(), recorder.listening():
                model(input_ids=batch["input_ids"], attention_mask=batch.get("attention_mask"))
            found.append(attention_to_mentions(recorder.read(training=False), batch))
        masses = torch.cat(found, 1)
        rows.append({"layer": layer, "variables": masses.size(1), "masses": masses.mean(1).tolist()})
    return rows
