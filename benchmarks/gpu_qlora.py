"""QLoRA of a 1B-parameter student on a CUDA GPU: step time, tokens per second and peak memory, over SFTTrainer's.

    python -m benchmarks.gpu_qlora [--json rows.json] [--steps 20] [--data folder]
    python -m benchmarks.gpu_qlora --tiny      # the same path on the CPU with a toy model: proves nothing about speed

The student is a randomly initialised Llama in 4-bit NF4 with LoRA on every linear layer. Before training, its loss is
checked against the same weights in bfloat16. Exits with 2 where there is no CUDA GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.training_step import ALL_ON
from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# width, feed-forward, layers, heads, key-value heads, vocabulary: 1.04 billion parameters, or a toy
SHAPES = {"1B": (2048, 8192, 16, 32, 8, 32_768), "tiny": (64, 128, 2, 4, 2, 2048)}
WARM_UP = 3
LOSS_TOLERANCE = 0.01


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def load_rows(data: Path, limit: int) -> list[dict[str, str]]:
    """Prompts, traces and wrong completions: MBPP's training split, or the seed problems where `data` is absent."""
    if not (data / "mbpp_traces.jsonl").is_file():
        seed = load_problems("seed", split="train", limit=limit)
        return [
            {
                "prompt": student_prompt(problem),
                "completion": format_completion(problem.metadata["reasoning"], problem.reference or ""),
                "rejected": format_completion(problem.metadata["reasoning"], problem.metadata["wrong_solution"]),
            }
            for problem in seed
        ]
    texts = {row["task_id"]: row["text"] for row in read_lines(data / "mbpp.jsonl")}
    traces = [row for row in read_lines(data / "mbpp_traces.jsonl") if not row["unsolvable"]][:limit]
    return [
        {
            "prompt": f"{texts[trace['task_id']]}\n",
            "completion": format_completion(trace["reasoning"], trace["solution"]),
            # the right thoughts, then the solution of another problem: parts from the trace in the code
            "rejected": format_completion(trace["reasoning"], other["solution"]),
        }
        for trace, other in zip(traces, traces[1:] + traces[:1], strict=True)
    ]


def make_tokenizer(rows: list[dict[str, str]], vocabulary: int) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([row["prompt"] + row["completion"] for row in rows], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")


def save_student(folder: Path, size: str, tokenizer: PreTrainedTokenizerFast) -> int:
    """Write a randomly initialised bfloat16 student; returns its number of parameters."""
    width, feed_forward, layers, heads, key_value_heads, vocabulary = SHAPES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        vocab_size=vocabulary,
        tie_word_embeddings=True,
        initializer_range=0.05,  # at the usual 0.02 the quantized layers would hardly show in the loss
        bos_token_id=None,
        eos_token_id=0,
    )
    student = LlamaForCausalLM(config).to(torch.bfloat16)
    student.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return student.num_parameters()


class Clock(TrainerCallback):
    """Seconds of each step, the device idle at both ends."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())

    def seconds(self) -> float:
        gaps = [after - before for before, after in zip(self.marks[WARM_UP:], self.marks[WARM_UP + 1 :], strict=False)]
        return statistics.median(gaps)


def build(arm: str, folder: Path, rows: list[dict[str, str]], options: argparse.Namespace, *, quantized: bool = True):
    """A trainer of one arm, `sft` or `all`."""
    tiny = options.tiny
    shared = dict(
        output_dir=str(folder / "out"),
        max_steps=options.steps,
        per_device_train_batch_size=2 if tiny else options.batch,
        max_length=256 if tiny else 1024,
        bf16=not tiny,
        use_cpu=tiny,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=options.steps,
        seed=0,
        model_init_kwargs={"dtype": torch.bfloat16},
    )
    pieces: dict[str, Any] = dict(model=str(folder), train_dataset=Dataset.from_list(rows), callbacks=[Clock()])
    if quantized:
        pieces["peft_config"] = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        pieces["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_use_double_quant=True,
        )
    if arm == "sft":
        return SFTTrainer(args=SFTConfig(**shared), **pieces)
    return StructureAwareTrainer(args=StructureAwareConfig(**shared, **ALL_ON), **pieces)


def first_loss(trainer: StructureAwareTrainer) -> float:
    """The loss of the first batch, untrained: an adapter that has not learned yet changes nothing."""
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    trainer.model.eval()
    with torch.no_grad(), trainer.accelerator.autocast():
        return trainer.compute_loss(trainer.model, batch).item()


def free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def run_arm(arm: str, folder: Path, rows: list[dict[str, str]], options: argparse.Namespace) -> dict[str, float]:
    """Train one arm; median seconds a step, tokens a second, peak gigabytes on the device."""
    free()
    trainer = build(arm, folder, rows, options)
    clock = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Clock))
    trainer.train()
    tokens = next(entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry)
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    return {
        "seconds": clock.seconds(),
        "tokens_per_second": tokens / options.steps / clock.seconds(),
        "gigabytes": peak,
    }


def check_loss(folder: Path, rows: list[dict[str, str]], options: argparse.Namespace) -> tuple[float, float]:
    """First losses in NF4 and in bfloat16; they must agree to 1%."""
    losses = []
    for quantized in (True, False):
        free()
        trainer = build("all", folder, rows, options, quantized=quantized)
        if quantized != any(isinstance(module, Linear4bit) for module in trainer.model.modules()):
            sys.exit("bitsandbytes did not quantize the student" if quantized else "the reference is quantized")
        losses.append(first_loss(trainer))
    if abs(losses[0] - losses[1]) > LOSS_TOLERANCE * abs(losses[1]):
        sys.exit(f"The loss in NF4 is {losses[0]:.4f}, in bfloat16 {losses[1]:.4f}: they differ by more than 1%.")
    return losses[0], losses[1]


def table(found: dict[str, list[dict[str, float]]]) -> list[dict]:
    best = {arm: min(runs, key=lambda run: run["seconds"]) for arm, runs in found.items()}
    for arm, run in best.items():
        print(
            f"{arm}: {run['seconds']:.3f} s a step, {run['tokens_per_second']:.0f} tokens/s, "
            f"peak {run['gigabytes']:.2f} GiB"
        )
    rows = []
    for key, what, aim in (("seconds", "step time", "<= 1.10x"), ("gigabytes", "peak memory", "<= 1.05x")):
        ratio = best["all"][key] / best["sft"][key] if best["sft"][key] else None
        rows.append({"what": f"{what}, 1B QLoRA on CUDA", "peer": "SFTTrainer", "aim": aim, "ratio": ratio})
        print(f"{what}: ratio {'not measured' if ratio is None else f'{ratio:.3f}'}")
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of mbpp.jsonl and mbpp_traces.jsonl")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="a toy model on the CPU, to run the code path")
    options = parser.parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        print(
            "gpu_qlora needs a CUDA GPU; found none. Run with --tiny to try the code path on the CPU.", file=sys.stderr
        )
        sys.exit(2)
    size = "tiny" if options.tiny else "1B"
    rows = load_rows(options.data, options.steps * (2 if options.tiny else options.batch))
    tokenizer = make_tokenizer(rows, SHAPES[size][-1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{save_student(folder, size, tokenizer) / 1e6:.1f}M parameters, {len(rows)} examples")
        quantized, reference = check_loss(folder, rows, options)
        print(f"first loss: NF4 {quantized:.4f}, bfloat16 {reference:.4f}")
        found: dict[str, list[dict[str, float]]] = {"sft": [], "all": []}
        for _ in range(options.rounds):
            for arm, runs in found.items():
                runs.append(run_arm(arm, folder, rows, options))
    written = table(found)
    if options.json:
        options.json.write_text(json.dumps(written))


if __name__ == "__main__":
    main()
