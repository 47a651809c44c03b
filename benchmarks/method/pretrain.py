"""A base student for study 2: trains a causal language model further on permissively licensed Python.

python -m benchmarks.method.pretrain --base ../shared/models/pycode-17m --out base --tokens 50e6
python -m benchmarks.method.pretrain --width 768 --layers 12 --tokenizer ../shared/models/pycode-17m --out base

Resumable: run it again with the same --out.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .corpus import documents

BLOCK = 1024


def blocks(tokenizer: Any) -> Iterator[list[int]]:
    """Documents one after another, an end token between them, cut into blocks of 1,024 tokens."""
    waiting: list[int] = []
    for document in documents():
        waiting += [*tokenizer(document, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK]
            waiting = waiting[BLOCK:]


def new_model(tokenizer: Any, options: argparse.Namespace) -> Any:
    """The base to go on from, or a fresh Llama of the width and depth asked for."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if options.base:
        return AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32)
    torch.manual_seed(0)
    heads = options.width // 64
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.width,
            intermediate_size=options.width * 8 // 3,
            num_hidden_layers=options.layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=BLOCK,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="folder of the model to go on from; without it a fresh one is made")
    parser.add_argument("--tokenizer", help="folder of the tokenizer of a fresh model")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=50e6, help="to train on; the corpus is repeated as needed")
    parser.add_argument("--batch-size", type=int, default=16, help="blocks of 1,024 tokens a step")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true", help="autocast; about twice the speed where the device has it")
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    options = parser.parse_args()
    if not (options.base or options.tokenizer):
        parser.error("expected --base, or --tokenizer for a fresh model")
    train(options)


def train(options: argparse.Namespace) -> None:
    """Train, keep checkpoints, save the model and its tokenizer into --out."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, Trainer, TrainingArguments, default_data_collator
    from transformers.trainer_utils import get_last_checkpoint

    tokenizer = AutoTokenizer.from_pretrained(options.base or options.tokenizer)
    wanted = int(options.tokens) // BLOCK
    rows = [{"input_ids": block, "labels": block} for block in itertools.islice(blocks(tokenizer), wanted)]
    dataset = Dataset.from_list(rows)
    settings = TrainingArguments(
        output_dir=str(options.out / "checkpoints"),
        max_steps=max(1, wanted // options.batch_size),
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        adam_beta2=0.95,
        weight_decay=0.1,
        warmup_steps=0.05,
        lr_scheduler_type="cosine",
        use_cpu=not torch.cuda.is_available(),
        bf16=options.bf16,
        torch_compile=options.compile,
        save_steps=200,
        save_total_limit=1,
        logging_steps=20,
        report_to="none",
        seed=0,
    )
    trainer = Trainer(
        new_model(tokenizer, options), settings, train_dataset=dataset, data_collator=default_data_collator
    )
    checkpoints = Path(settings.output_dir)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(settings.output_dir) if checkpoints.is_dir() else None)
    trainer.save_model(str(options.out))
    tokenizer.save_pretrained(str(options.out))


if __name__ == "__main__":
    main()
