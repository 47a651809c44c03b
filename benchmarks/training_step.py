"""Step time and peak memory with every objective on, over SFTTrainer's on the same data, model and seed.

    python -m benchmarks.training_step [--json rows.json] [--rounds 2]

Each run is a process of its own (peak resident memory is a property of a process); the two arms take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = {"10M": (256, 8), "100M": (768, 12)}  # width, layers; vocabulary of 8,192
STEPS, WARM_UP, BATCH, LENGTH = 8, 2, 4, 256
ALL_ON = {
    "structure_weight": 0.5,
    "dataflow_coef": 0.03,
    "ast_path_coef": 0.03,
    "divergence_coef": 0.03,
    "alignment_coef": 0.03,
    "embedding_coef": 0.03,
    "structure_schedule": "constant",
}


def run_arm(arm: str, size: str) -> dict[str, float]:
    """Train one arm for a few steps; median seconds a step after the warm-up, and peak resident megabytes."""
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
    from hf_structdistill.problems import load_problems
    from hf_structdistill.problems.prompting import format_completion, student_prompt

    rows = [
        {
            "prompt": student_prompt(problem),
            "completion": format_completion("", problem.reference or ""),
            "rejected": format_completion("", problem.metadata["wrong_solution"]),
        }
        for problem in load_problems("seed", split="train", limit=STEPS * BATCH)
    ]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([row["prompt"] + row["completion"] for row in rows], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")

    width, layers = SIZES[size]
    torch.manual_seed(0)
    student = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=8192, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
            num_attention_heads=width // 64, num_key_value_heads=width // 64, bos_token_id=None, eos_token_id=0,
        )
    )  # fmt: skip

    class Clock(TrainerCallback):
        marks: list[float] = []

        def on_step_end(self, *args, **kwargs):
            self.marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        shared = dict(
            output_dir=folder, max_steps=STEPS, per_device_train_batch_size=BATCH, max_length=LENGTH, bf16=False,
            use_cpu=True, activation_checkpointing=False, save_strategy="no", report_to="none", disable_tqdm=True,
            logging_strategy="no",
        )  # fmt: skip
        pieces = dict(
            model=student, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[Clock()]
        )
        if arm == "all":
            StructureAwareTrainer(args=StructureAwareConfig(**shared, **ALL_ON), **pieces).train()
        else:
            SFTTrainer(args=SFTConfig(**shared), **pieces).train()
    gaps = [after - before for before, after in zip(Clock.marks[WARM_UP:], Clock.marks[WARM_UP + 1 :], strict=False)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(gaps), "megabytes": peak}


def compare(size: str, rounds: int) -> list[dict]:
    """Both arms in turn, each in its own process."""
    found: dict[str, list[dict]] = {"sft": [], "all": []}
    for _ in range(rounds):
        for arm, runs in found.items():
            command = [sys.executable, "-m", "benchmarks.training_step", "--arm", arm, "--size", size]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for key, what, aim in (("seconds", "step time", "<= 1.10x"), ("megabytes", "peak memory", "<= 1.05x")):
        ours, theirs = (min(run[key] for run in found[arm]) for arm in ("all", "sft"))
        print(f"{size} {what}: all objectives {ours:.3f}, SFTTrainer {theirs:.3f}, ratio {ours / theirs:.3f}")
        rows.append(
            {
                "what": f"{what}, {size} parameters, all objectives",
                "peer": "SFTTrainer",
                "aim": aim,
                "ratio": ours / theirs,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--arm", choices=["sft", "all"], help="run one arm in this process and print its figures")
    parser.add_argument("--size", choices=list(SIZES))
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(run_arm(options.arm, options.size or "10M")))
        return
    rows = [row for size in ([options.size] if options.size else SIZES) for row in compare(size, options.rounds)]
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
