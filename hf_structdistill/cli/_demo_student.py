"""The demo's student: a small Llama-architecture model and a tokenizer, both made on the spot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from ..compat import last_whole_checkpoint
from ..model_card import changed_settings, training_curves
from ..trainer import StructureAwareTrainer
from ..training_args import StructureAwareConfig
from ._progress import stage_progress

MAX_LENGTH = 640
VOCABULARY = 1024
LAYERS = 2
HEAD_WIDTH = 16  # many narrow heads: copying names from the prompt is learned in fewer steps
# the objectives of the recipe of that name, see docs/objectives.md
FROM_SCRATCH = {"attention_coef": 0.3, "attention_heads": 0.5, "ast_path_coef": 1.0}
END, PAD = "<|end|>", "<|pad|>"


@dataclass(frozen=True)
class Arm:
    """One of the two runs: its name in the report, its folder, and whether the loss knows the structure."""

    name: str
    folder: Path
    structure: bool


def train_tokenizer(
    texts: Sequence[str], pieces: pre_tokenizers.PreTokenizer | None = None
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 1,024 tokens.

    Line breaks are tokens of their own: were they merged, the end of a prompt would be tokenized differently alone, as
    in generation, and in front of its completion, as in training. `pieces` cuts the text otherwise.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pieces or pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left")


def new_student(tokenizer: PreTrainedTokenizerFast, width: int, seed: int) -> LlamaForCausalLM:
    """A fresh student; the same seed gives the same weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 5 // 2,
        num_hidden_layers=LAYERS,
        num_attention_heads=width // HEAD_WIDTH,
        num_key_value_heads=width // HEAD_WIDTH,
        max_position_embeddings=2 * MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def load_student(folder: Path) -> tuple[Any, Any]:
    """The trained student and its tokenizer, as any user would load them."""
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder, padding_side="left")


def training_settings(arm: Arm, epochs: float, seed: int) -> dict[str, Any]:
    """What both arms share."""
    return dict(
        output_dir=str(arm.folder / "checkpoints"),
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        learning_rate=4e-3,
        adam_beta2=0.95,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=0.1,
        max_length=MAX_LENGTH,
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        logging_steps=0.05,  # a share of the steps
        save_strategy="steps",
        save_steps=100,
        save_total_limit=1,
        disable_tqdm=True,
        report_to="none",
        seed=seed,
    )


def train_arm(
    arm: Arm,
    student: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    dataset: Dataset,
    epochs: float,
    seed: int,
) -> dict[str, list[tuple[float, float]]]:
    """Train one arm, or read what an earlier run trained; returns the curve of each logged component."""
    log_file = arm.folder / "training_log.json"
    if log_file.is_file():
        return training_curves(json.loads(log_file.read_text(encoding="utf-8"))["log"])
    shared = training_settings(arm, epochs, seed)
    with stage_progress(arm.name, {"steps": "Training steps"}) as progress:
        pieces = dict(
            model=student, train_dataset=dataset, processing_class=tokenizer, callbacks=[_StepProgress(progress)]
        )
        if arm.structure:
            trainer: SFTTrainer = StructureAwareTrainer(args=StructureAwareConfig(**shared, **FROM_SCRATCH), **pieces)
        else:
            trainer = SFTTrainer(args=SFTConfig(**shared), **pieces)
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last_whole_checkpoint(shared["output_dir"]))
    trainer.save_model(str(arm.folder))
    (arm.folder / "training_args.bin").unlink()  # transformers writes it: a pickle that names folders of this machine
    tokenizer.save_pretrained(str(arm.folder))
    shutil.rmtree(arm.folder / "checkpoints", ignore_errors=True)
    log_file.write_text(
        json.dumps({"log": trainer.state.log_history, "card": _card_facts(trainer, dataset)}, default=str),
        encoding="utf-8",
    )
    return training_curves(trainer.state.log_history)


def arm_card(folder: Path) -> dict[str, Any]:
    """What a student's card says of its training."""
    return json.loads((folder / "training_log.json").read_text(encoding="utf-8"))["card"]


def _card_facts(trainer: SFTTrainer, dataset: Dataset) -> dict[str, Any]:
    return {
        "datasets": [f"{len(dataset)} verified traces of listops and the built-in seed problems"],
        "objectives": trainer.describe_objectives() if isinstance(trainer, StructureAwareTrainer) else [],
        "hyperparameters": changed_settings(trainer.args),
        "license": "apache-2.0",
    }


class _StepProgress(TrainerCallback):
    def __init__(self, report: Any) -> None:
        self.report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.report("steps", state.global_step, state.max_steps)

    on_train_begin = on_step_end
