"""A run: make the data, train one student with one arm, let it solve held-out problems, score them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from hf_structdistill.problems import Problem
from hf_structdistill.problems.prompting import student_prompt

from .bases import base_folder
from .errors import wrong_variable_errors
from .setting import Run

MAX_NEW_TOKENS = 384


def perform(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Train once and evaluate on the split of each run, which may differ in that alone; the rows of the ledger."""
    started = time.perf_counter()
    trainer = train(runs[0])
    train_seconds = time.perf_counter() - started
    log = [{k: v for k, v in entry.items() if isinstance(v, float | int)} for entry in trainer.state.log_history]
    for run in runs:
        started = time.perf_counter()
        scores = evaluate(trainer.model, trainer.processing_class, run.setting.held_out(run.split))
        yield {
            "key": run.key,
            **asdict(run),
            "scores": scores,
            "train_seconds": round(train_seconds, 1),
            "evaluation_seconds": round(time.perf_counter() - started, 1),
            "log": log,
        }


def train(run: Run, structural: type | None = None) -> Any:
    """The trainer after its training; the same seed gives the same first weights and order of the data in every arm.

    `structural` stands in for StructureAwareTrainer where one is called for.
    """
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(run, folder, structural)
        # the order by length comes from the global generator: it must not depend on what was built before
        transformers.set_seed(run.seed)
        trainer.train()
    return trainer


def make_trainer(run: Run, folder: str, structural: type | None) -> Any:
    import transformers
    from datasets import Dataset, disable_progress_bars
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from hf_structdistill import StructureAwareConfig, StructureAwareTrainer

    disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    rows = run.setting.examples(run.arm.rejected)
    model, tokenizer = run.setting.student(rows, run.seed)
    shared = training_settings(run, folder)
    if run.arm.settings is None:
        kind, args = SFTTrainer, SFTConfig(**shared)
    else:
        kind, args = structural or StructureAwareTrainer, StructureAwareConfig(**shared, **_opened(run.arm.settings))
    trainer = kind(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _opened(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the folder of the encoder: ledgers know it by name."""
    encoder = settings.get("alignment_encoder")
    return {**settings, "alignment_encoder": str(base_folder(encoder))} if encoder else settings


def training_settings(run: Run, folder: str) -> dict[str, Any]:
    """What all arms share."""
    return dict(
        output_dir=folder,
        num_train_epochs=run.setting.epochs,
        per_device_train_batch_size=run.setting.batch_size,
        learning_rate=run.learning_rate,
        adam_beta2=0.95,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=run.setting.weight_decay,
        max_length=run.setting.max_length,
        train_sampling_strategy="group_by_length",
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        logging_steps=0.05,
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
        seed=run.seed,
        **run.extra,
    )


def evaluate(model: Any, tokenizer: Any, problems: Sequence[Problem]) -> dict[str, Any]:
    """Greedy completions of held-out problems and what they are worth."""
    from hf_structdistill.evaluation import generate_completions, score_completions
    from hf_structdistill.evaluation.likelihood import bits_per_byte

    prompts = [student_prompt(problem) for problem in problems]
    completions = generate_completions(model, tokenizer, prompts, max_new_tokens=MAX_NEW_TOKENS, batch_size=64)
    result = score_completions(problems, completions, name="student", workers=1)
    likelihood = bits_per_byte(model, tokenizer, problems)
    codes = [record.code for record in result.records]
    passed = [record.verdict.passed for record in result.records]
    repairable = wrong_variable_errors(problems, codes, passed)
    return {
        "pass@1": sum(passed) / len(passed),
        "parse_rate": result.parse_rate,
        "bits_per_byte": likelihood,
        "wrong_variable_errors": sum(repairable.values()),
        "wrong_variable_share": sum(repairable.values()) / len(repairable) if repairable else None,
        **{
            f"{mode}_{name}": scores[name]
            for mode, scores in result.scores.items()
            for name in ("syntax_match_macro", "syntax_match_corrected", "dataflow_match_macro",
                         "dataflow_match_corrected")
        },
        # one character a problem, in the order of `load_problems`
        "passed": "".join(str(int(ok)) for ok in passed),
        "wrong_variable": sorted(index for index, wrong in repairable.items() if wrong),
        "depth_pass@1": _share(passed, [problem.metadata.get("novelty") == "depth" for problem in problems]),
    }  # fmt: skip


def _share(passed: Sequence[bool], chosen: Sequence[bool]) -> float | None:
    kept = [ok for ok, keep in zip(passed, chosen, strict=True) if keep]
    return sum(kept) / len(kept) if kept else None
