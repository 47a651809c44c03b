"""The only file that knows internals of TRL and transformers. Read against trl 1.16.0 and transformers 5.23.0."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from datasets import Dataset, IterableDataset
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.modeling_utils import AttentionInterface
from trl.data_utils import get_dataset_column_names, is_conversational
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from .errors import InputError
from .losses import Attention

logger = logging.getLogger(__name__)

__all__ = [
    "AttentionRecorder",
    "DataCollatorForLanguageModeling",
    "ForwardRecorder",
    "apply_formatting",
    "attention_layers",
    "has_formatting",
    "is_chat",
    "is_deepspeed_zero3_enabled",
    "keep_batches_whole",
    "last_whole_checkpoint",
    "lm_head_logits",
    "prepare_like_training",
    "unwrap",
    "without_rejected",
]

AnyDataset = TypeVar("AnyDataset", Dataset, IterableDataset)


def is_chat(example: dict[str, Any]) -> bool:
    """Whether an example is conversational, by the rule SFTTrainer goes by (`conversations` is ShareGPT's key)."""
    return is_conversational(example) or "conversations" in example


def without_rejected(dataset: AnyDataset) -> AnyDataset:
    """A prompt-completion data set without `rejected`, which SFTTrainer does not train on.

    TRL 1.16 asks one column of a row, whichever a set of their names gives first, whether it is a chat: a `rejected`
    that is empty, or text beside messages, says no in some processes.
    """
    columns = get_dataset_column_names(dataset)
    return dataset.remove_columns("rejected") if {"completion", "rejected"} <= set(columns) else dataset


def last_whole_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint in `folder` that was written to its end, or None.

    transformers writes trainer_state.json last: a run that was killed while it saved leaves a checkpoint without it,
    or with half of it, which `get_last_checkpoint` would take all the same.
    """
    found = [(re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in Path(folder).glob("checkpoint-*")]
    by_step = {int(match[1]): path for match, path in found if match}
    for _, path in sorted(by_step.items(), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            return str(path)
        except (OSError, ValueError):
            continue
    return None


def keep_batches_whole(args: Any) -> None:
    """Let every process load its own batches.

    accelerate's dispatcher (on for a streaming data set, TRL 1.16 turns it off for the training set's alone) cuts
    every tensor of a batch by its first dimension, and the lists of variables and uses are not one entry a row.
    """
    if args.accelerator_config.dispatch_batches:
        logger.warning("accelerator_config.dispatch_batches would cut the structure of a batch: it is off.")
    args.accelerator_config.dispatch_batches = False


def unwrap(model: nn.Module) -> PreTrainedModel:
    """The causal language model below PEFT's wrapper (SFTTrainer patches its forward there, not on the wrapper)."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


class ForwardRecorder:
    """Stands in for the model in `SFTTrainer.compute_loss` and keeps what its forward made.

    SFTTrainer 1.16 calls `model(**inputs, fused_lm_head=True)` and reads `log_probs` (B, T-1), zero where ignored,
    and `label_mask` (B, T-1), False there; the logits are never built. The last hidden state is seen by a hook on the
    backbone, which TRL looks up as `base_model` on every call.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.log_probs: Tensor | None = None
        self.label_mask: Tensor | None = None
        self.hidden_states: Tensor | None = None

    def __call__(self, **inputs: Any) -> Any:
        outputs = self._model(**inputs)
        # the second call of `return_outputs=True` (the full logits) has no fused head and is not ours
        if inputs.get("fused_lm_head"):
            self.log_probs, self.label_mask = outputs.log_probs, outputs.label_mask
        return outputs

    @contextmanager
    def listening(self, causal_lm: PreTrainedModel) -> Iterator[ForwardRecorder]:
        """Record the backbone's last hidden state of the first forward inside the block."""

        def keep(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
            if self.hidden_states is None:
                self.hidden_states = outputs.last_hidden_state

        handle = causal_lm.base_model.register_forward_hook(keep)
        try:
            yield self
        finally:
            handle.remove()


def attention_layers(causal_lm: nn.Module) -> list[int]:
    """The layers whose attention `AttentionRecorder` can look at, ascending; none where a model has its own way.

    In transformers 5.23 a model that looks its attention function up imports the mapping under this name, and its
    modules know the number of their layer. Hybrid models number their convolutions and recurrences too.
    """
    return sorted(
        {
            module.layer_idx
            for module in causal_lm.modules()
            if getattr(module, "layer_idx", None) is not None
            and "Attention" in type(module).__name__
            and hasattr(sys.modules[type(module).__module__], "ALL_ATTENTION_FUNCTIONS")
        }
    )


class AttentionRecorder:
    """Keeps the queries and keys of one attention layer, as they enter its dot products.

    transformers 5.23 looks the attention function of a model up by `config._attn_implementation` in one mapping, on
    every call ("eager" is not in it: each model has its own), and calls it with the module, queries (B, H, T, d) and
    keys (B, G, T, d), rotated and normed, G <= H groups of heads. During `listening` an entry there looks on.

    Args:
        causal_lm: the model, below PEFT's wrapper.
        layer: number of the layer, one of `attention_layers`.
    """

    def __init__(self, causal_lm: PreTrainedModel, layer: int) -> None:
        self.layer = layer
        self.implementation = causal_lm.config.get_text_config()._attn_implementation
        self._seen: Attention | None = None
        self._recorded_gradients = True

    @contextmanager
    def listening(self) -> Iterator[AttentionRecorder]:
        """Record the first forward inside the block; recomputed activations go the usual way."""
        mapping = AttentionInterface._global_mapping
        usual = mapping.get(self.implementation)
        mapping[self.implementation] = self._looking_on(usual)
        try:
            yield self
        finally:
            if usual is None:
                del mapping[self.implementation]
            else:
                mapping[self.implementation] = usual

    def _looking_on(self, usual: Callable | None) -> Callable:
        def attend(module: nn.Module, queries: Tensor, keys: Tensor, *args: Any, **kwargs: Any) -> Any:
            if self._seen is None and getattr(module, "layer_idx", None) == self.layer:
                scaling, window = kwargs.get("scaling"), kwargs.get("sliding_window")
                factor = queries.size(-1) ** -0.5 if scaling is None else float(scaling)
                self._seen = Attention(queries, keys, factor, window)
                self._recorded_gradients = torch.is_grad_enabled()
            function = usual or sys.modules[type(module).__module__].eager_attention_forward
            return function(module, queries, keys, *args, **kwargs)

        return attend

    def read(self, training: bool) -> Attention:
        """What the layer attended with.

        Raises:
            InputError: the model's attention cannot be seen, or gradients cannot flow into it.
        """
        if self._seen is None:
            raise InputError(
                f"attention_coef reads queries and keys where transformers calls the attention function of layer "
                f"{self.layer} ({self.implementation}), which this forward did not; set it to 0.0."
            )
        # torch's reentrant checkpointing runs the forward without gradients, and a second time in the backward
        if training and not self._recorded_gradients:
            raise InputError(
                "attention_coef needs gradients of queries and keys, which reentrant checkpointing cuts off; set "
                "activation_checkpointing_kwargs={'use_reentrant': False}."
            )
        if training and not (self._seen.queries.requires_grad or self._seen.keys.requires_grad):
            _warn_once(
                f"Nothing that the queries and keys of layer {self.layer} depend on is trained: attention_coef is "
                "measured, and teaches nothing. Train a layer below it, set attention_layer, or set it to 0.0."
            )
        return self._seen


@functools.cache
def _warn_once(message: str) -> None:
    logger.warning(message)


def lm_head_logits(causal_lm: PreTrainedModel, states: Tensor, token_ids: Tensor) -> Tensor:
    """(N, C) float32 logits of C tokens (N, C) for each state (N, d), from those rows of the output embedding alone.

    Scaling and soft-capping follow the config as TRL's fused head does. One look-up for all: its backward makes a
    gradient of the size of the whole embedding.
    """
    head = causal_lm.get_output_embeddings()
    weight, bias = head.weight, getattr(head, "bias", None)
    if hasattr(weight, "full_tensor"):  # FSDP2 shards parameters as DTensors
        weight, bias = weight.full_tensor(), bias.full_tensor() if bias is not None else None
    rows = nn.functional.embedding(token_ids, weight).to(states.dtype)
    logits = torch.einsum("nd,ncd->nc", states, rows)
    if bias is not None:
        logits = logits + bias[token_ids].to(states.dtype)
    config = causal_lm.config.get_text_config()
    logits = logits * _logit_scale(config)
    cap = getattr(config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits


def _logit_scale(config: Any) -> float:
    # the order of trl.trainer.utils.add_fused_lm_head
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if getattr(config, name, None) is not None:
            return getattr(config, name)
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    return scaling if config.model_type == "hyperclovax" else 1 / scaling


def has_formatting(trainer: Any) -> bool:
    """Whether the trainer was given a `formatting_func`, which makes a plain text of each row."""
    return trainer._formatting_func is not None


def apply_formatting(trainer: Any, dataset: Dataset) -> Dataset:
    """`dataset` with the `text` column that SFTTrainer's `formatting_func` makes, where one was given."""
    make_text = trainer._formatting_func
    return dataset.map(lambda row: {"text": make_text(row)}) if has_formatting(trainer) else dataset


def prepare_like_training(trainer: Any, dataset: Dataset, name: str, *, mask_prompts: bool = False) -> Dataset:
    """Tokenize and label `dataset` as SFTTrainer did its training set, in its order, neither cut nor packed.

    With `mask_prompts` the unsupervised part is the prompt, whatever part of it the training supervises.
    """
    args = trainer.args
    before = args.shuffle_dataset, args.max_length, args.assistant_only_loss, trainer.completion_only_loss
    args.shuffle_dataset, args.max_length = False, None
    if mask_prompts:
        args.assistant_only_loss, trainer.completion_only_loss = False, True
    try:
        return trainer._prepare_dataset(dataset, trainer.processing_class, args, False, None, name)
    finally:
        args.shuffle_dataset, args.max_length, args.assistant_only_loss, trainer.completion_only_loss = before
