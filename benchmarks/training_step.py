"""Step time and peak memory with every objective on, over SFTTrainer's on the same data, model and seed.

    python -m benchmarks.training_step [--json rows.json] [--rounds 2]

Each arm is a process of its own (peak resident memory is a property of a process). The two take turns step by step, on
the same batches, and the ratio is the median of the ratios of the steps: a load that comes and goes hits both.
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

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback

from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

SIZES = {"10M": (256, 8), "100M": (768, 12)}  # width, layers; vocabulary of 8,192
STEPS, WARM_UP, BATCH, LENGTH = 14, 2, 4, 256
ALL_ON = {
    "structure_weight": 0.5,
    "dataflow_coef": 0.03,
    "ast_path_coef": 0.03,
    "divergence_coef": 0.03,
    "alignment_coef": 0.03,
    "embedding_coef": 0.03,
    "attention_coef": 0.03,
    "structure_schedule": "constant",
}


def run_arm(arm: str, size: str) -> None:
    """Train one arm, one step for each line on standard input; writes its seconds, at the end its peak megabytes."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from hf_structdistill import StructureAwareConfig, StructureAwareTrainer

    rows = seed_rows()
    pieces = dict(
        model=make_student(size), train_dataset=Dataset.from_list(rows), processing_class=train_tokenizer(rows),
        callbacks=[Turns()],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        shared = dict(
            output_dir=folder, max_steps=STEPS, per_device_train_batch_size=BATCH, max_length=LENGTH, bf16=False,
            use_cpu=True, activation_checkpointing=False, save_strategy="no", report_to="none", disable_tqdm=True,
            logging_strategy="no",
        )  # fmt: skip
        if arm == "all":
            StructureAwareTrainer(args=StructureAwareConfig(**shared, **ALL_ON), **pieces).train()
        else:
            SFTTrainer(args=SFTConfig(**shared), **pieces).train()
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}", flush=True)


class Turns(TrainerCallback):
    """A step lasts from the word to go until its end: loading of its batch included."""

    def on_train_begin(self, *args, **kwargs):
        self.wait()

    def on_step_end(self, *args, **kwargs):
        print(f"step {time.perf_counter() - self.began}", flush=True)
        self.wait()

    def wait(self):
        sys.stdin.readline()
        self.began = time.perf_counter()


def seed_rows() -> list[dict[str, str]]:
    """Training rows with their failing mutants."""
    return [
        {
            "prompt": student_prompt(problem),
            "completion": format_completion("", problem.reference or ""),
            "rejected": format_completion("", problem.metadata["wrong_solution"]),
        }
        for problem in load_problems("seed", split="train", limit=STEPS * BATCH)
    ]


def train_tokenizer(rows: list[dict[str, str]]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 2,048 tokens."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([row["prompt"] + row["completion"] for row in rows], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")


def make_student(size: str) -> LlamaForCausalLM:
    width, layers = SIZES[size]
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=8192, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
            num_attention_heads=width // 64, num_key_value_heads=width // 64, bos_token_id=None, eos_token_id=0,
        )
    )  # fmt: skip


def start_arm(arm: str, size: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.training_step", "--arm", arm, "--size", size]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def answer(process: subprocess.Popen, key: str) -> float:
    """Tell an arm to go on, and wait for its next `key`."""
    process.stdin.write("go\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith(f"{key} "):
            return float(line.split()[1])
    raise RuntimeError(f"an arm ended with {process.wait()} before it said its {key}")


def run_pair(size: str) -> tuple[list[float], float]:
    """Ratios of the step times, ours over SFTTrainer's, and of the peak memory."""
    arms = {arm: start_arm(arm, size) for arm in ("sft", "all")}
    ratios = []
    for step in range(STEPS):
        order = list(arms) if step % 2 else list(arms)[::-1]
        seconds = {arm: answer(arms[arm], "step") for arm in order}
        if step >= WARM_UP:
            ratios.append(seconds["all"] / seconds["sft"])
    peaks = {arm: answer(process, "peak") for arm, process in arms.items()}
    for process in arms.values():
        process.communicate()
    return ratios, peaks["all"] / peaks["sft"]


def compare(size: str, rounds: int) -> list[dict]:
    """Rows of the table: step time and peak memory."""
    pairs = [run_pair(size) for _ in range(rounds)]
    steps = sorted(ratio for ratios, _ in pairs for ratio in ratios)
    spread = f"quartiles {steps[len(steps) // 4]:.3f} to {steps[3 * len(steps) // 4]:.3f} of {len(steps)} steps"
    time_ratio, memory_ratio = statistics.median(steps), statistics.median(peak for _, peak in pairs)
    print(f"{size} step time: ratio {time_ratio:.3f} ({spread}); peak memory: ratio {memory_ratio:.3f}")
    return [
        {"what": f"{what}, {size} parameters, all objectives", "peer": "SFTTrainer", "aim": aim, "ratio": ratio}
        for what, aim, ratio in (("step time", "<= 1.10x", time_ratio), ("peak memory", "<= 1.05x", memory_ratio))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--arm", choices=["sft", "all"], help="run one arm in this process and print its figures")
    parser.add_argument("--size", choices=list(SIZES))
    options = parser.parse_args()
    if options.arm:
        run_arm(options.arm, options.size or "10M")
        return
    rows = [row for size in ([options.size] if options.size else SIZES) for row in compare(size, options.rounds)]
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
