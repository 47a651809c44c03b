"""A tiny student, its tokenizer and data, all made on the spot."""

from __future__ import annotations

import functools
import json
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>\n{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content }}<|end|>{% endgeneration %}{% else %}{{ message.content }}{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@functools.cache
def rows(number: int = 16) -> tuple[dict[str, str], ...]:
    """Examples of very different lengths: listops and seed problems in turn, each with a wrong completion."""
    found = []
    listops = load_problems("listops", split="train", limit=number)
    seed = load_problems("seed", split="train", limit=number)
    for problem in [p for pair in zip(listops, seed, strict=True) for p in pair][:number]:
        reasoning = problem.metadata["reasoning"]
        found.append(
            {
                "prompt": student_prompt(problem),
                "completion": format_completion(reasoning, problem.reference),
                "rejected": format_completion(reasoning, problem.metadata["wrong_solution"]),
            }
        )
    return tuple(found)


def dataset(number: int = 16, *, columns: tuple[str, ...] = ("prompt", "completion")) -> Dataset:
    return Dataset.from_list([{name: row[name] for name in columns} for row in rows(number)])


def conversations(number: int = 16) -> Dataset:
    return Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in rows(number)
        ]
    )


@functools.cache
def _tokenizer_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([json.dumps(row) for row in rows()], trainer)
    return tokenizer.to_str()


def tokenizer(**kwargs: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json()), eos_token="<|end|>", pad_token="<|pad|>", **kwargs
    )


def student(seed: int = 0, *, tied: bool = True, width: int = 32) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    return LlamaForCausalLM(config)


def settings(folder: Any, **kwargs: Any) -> dict[str, Any]:
    """Training arguments that both trainers take: fp32, CPU, no checkpoints, every step logged."""
    return {
        "output_dir": str(folder),
        "max_steps": 4,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "max_length": None,
        "bf16": False,
        "use_cpu": True,
        "activation_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
        "seed": 0,
        **kwargs,
    }


ALL_ON = {
    "structure_weight": 1.0,
    "dataflow_coef": 0.1,
    "ast_path_coef": 0.1,
    "divergence_coef": 0.1,
    "alignment_coef": 0.1,
    "embedding_coef": 0.1,
    "attention_coef": 0.1,
    "structure_schedule": "constant",
}
ALL_OFF = {
    "structure_weight": 0.0,
    "dataflow_coef": 0.0,
    "ast_path_coef": 0.0,
    "divergence_coef": 0.0,
    "alignment_coef": 0.0,
    "embedding_coef": 0.0,
    "attention_coef": 0.0,
}
COMPONENTS = ("weighted_nll", "dataflow", "ast_path", "divergence", "alignment", "embedding", "attention")
WITH_REJECTED = ("prompt", "completion", "rejected")
