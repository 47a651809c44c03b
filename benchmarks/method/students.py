"""Students trained from scratch: a small Llama and a byte-level BPE tokenizer of the training texts."""

from __future__ import annotations

from typing import Any

from hf_structdistill.cli._demo_student import HEAD_WIDTH, MAX_LENGTH, train_tokenizer

from .setting import Setting

__all__ = ["new_student", "train_tokenizer"]


def new_student(tokenizer: Any, setting: Setting, seed: int) -> Any:
    """A fresh student; the same seed gives the same weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    heads = setting.width // HEAD_WIDTH  # many narrow heads: copying is learned in fewer steps
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=setting.width,
        intermediate_size=setting.width * 5 // 2,
        num_hidden_layers=setting.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=2 * MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)
