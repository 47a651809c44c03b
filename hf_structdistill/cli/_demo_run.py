"""The stages of the demo, each of which continues from what an earlier run left in the output folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import transformers
from datasets import Dataset, disable_progress_bars, load_dataset
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .. import __version__
from ..data_collator import StructureAwareDataCollator
from ..errors import InputError
from ..evaluation import EvaluationResult, score_completions, write_report
from ..evaluation.by_source import source_rows
from ..evaluation.examples import token_example
from ..evaluation.folder import make_folder
from ..evaluation.generate import generate_completions
from ..evaluation.recipes import load_recipe
from ..files import replace_text
from ..hub.datasets import write_trace_dataset
from ..model_card import write_student_card
from ..problems import Problem, load_problems
from ..problems.prompting import student_prompt
from ..teachers import ScriptedTeacher, collect_traces, select_examples
from ._demo_student import MAX_LENGTH, Arm, arm_card, load_student, new_student, train_arm, train_tokenizer
from ._progress import stage_progress

SFT, STRUCTURE = "SFTTrainer", "StructureAwareTrainer"
MAX_NEW_TOKENS = 320


@dataclass(frozen=True)
class DemoSettings:
    """What the demo's numbers depend on."""

    listops: int
    seed_problems: int
    held_out: int
    epochs: float
    width: int
    seed: int


def run_demo(settings: DemoSettings, out: Path) -> None:
    """Run every stage, print the table, and say where everything is."""
    _quiet_libraries()
    console = Console()
    _claim_folder(out, settings)

    train = _training_problems(settings)
    test = _test_problems(settings)
    examples = _make_traces(train, out / "traces", console)
    tokenizer = train_tokenizer([row["prompt"] + row["completion"] for row in examples])
    kept = _short_enough(examples, tokenizer, console)

    curves: dict[str, Any] = {}
    for arm in (Arm(SFT, out / "baseline", structure=False), Arm(STRUCTURE, out / "student", structure=True)):
        student = new_student(tokenizer, settings.width, settings.seed)
        curves[arm.name] = train_arm(arm, student, tokenizer, kept, settings.epochs, settings.seed)

    results = [_evaluate(arm, folder, test, out) for arm, folder in ((SFT, "baseline"), (STRUCTURE, "student"))]
    worked = _worked_examples(kept, tokenizer)
    report = write_report(
        out / "report",
        results,
        problems=test,
        curves=curves,
        examples=worked,
        title="Structure-aware distillation, a demo",
        settings={
            "settings": asdict(settings),
            "prompt": load_recipe("zero_shot").facts(),
            "sampling": {"max_new_tokens": MAX_NEW_TOKENS, "temperature": 0.0},
        },
    )
    _write_cards(out, results, curves)
    _print_table(console, results, test)
    _print_places(console, out, report["report.html"])


def _quiet_libraries() -> None:
    disable_progress_bars()  # our own bars say the same in fewer lines
    transformers.utils.logging.disable_progress_bar()
    for name in ("transformers", "trl", "accelerate", "bitsandbytes", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _claim_folder(out: Path, settings: DemoSettings) -> None:
    """Make the folder, or continue in it; refuse one that holds a run with other settings."""
    state = {"version": __version__, **asdict(settings)}
    file = make_folder(out) / "demo.json"
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
        if found != state:
            raise InputError(
                f"'{out}' holds a demo with other settings ({found}); choose another --out or remove the folder."
            )
        return
    if any(out.iterdir()):
        raise InputError(f"'{out}' is not empty and holds no demo; choose another --out.")
    file.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def _training_problems(settings: DemoSettings) -> list[Problem]:
    problems = load_problems("listops", split="train", size=settings.listops)
    return problems + load_problems("seed", split="train", limit=settings.seed_problems)


def _test_problems(settings: DemoSettings) -> list[Problem]:
    return load_problems("listops", split="test", size=settings.held_out) + load_problems("seed", split="test")


def _make_traces(problems: Sequence[Problem], out: Path, console: Console) -> list[dict[str, Any]]:
    """Ask the teachers, verify, write the data set; returns its `sft` rows as a user would load them."""
    with stage_progress("Teacher traces", {"replies": "Replies", "verified": "Verified in the sandbox"}) as progress:
        traces = collect_traces(problems, [ScriptedTeacher()], out, progress=progress)
    write_trace_dataset(
        out, traces, select_examples(traces.traces, traces.problems), title="Demo traces", command="structdistill demo"
    )
    dataset = load_dataset(str(out), "sft", split="train")
    console.print(f"{traces.statuses()['passed']} of {len(traces.traces)} traces passed; {len(dataset)} examples.")
    return [dict(row) for row in dataset]


def _short_enough(rows: Sequence[dict[str, Any]], tokenizer: Any, console: Console) -> Dataset:
    """Examples that fit the student's context: a cut one would teach it never to finish."""
    kept = [row for row in rows if len(tokenizer(row["prompt"] + row["completion"])["input_ids"]) < MAX_LENGTH]
    if len(kept) < len(rows):
        console.print(f"{len(rows) - len(kept)} examples are longer than {MAX_LENGTH} tokens and are left out.")
    columns = ("prompt", "completion")
    return Dataset.from_list([{name: row[name] for name in columns} for row in kept])


def _evaluate(name: str, folder: str, problems: Sequence[Problem], out: Path) -> EvaluationResult:
    """Completions (kept in a file, so that a second run need not make them again), then scores."""
    file = out / f"completions-{folder}.json"
    with stage_progress(name, {"written": "Completions", "judged": "Judged"}) as progress:
        if file.is_file():
            completions = json.loads(file.read_text(encoding="utf-8"))
        else:
            model, tokenizer = load_student(out / folder)
            completions = generate_completions(
                model,
                tokenizer,
                [student_prompt(problem) for problem in problems],
                max_new_tokens=MAX_NEW_TOKENS,
                batch_size=64,
                progress=lambda done: progress("written", done, len(problems)),
            )
            replace_text(file, json.dumps(completions))
        return score_completions(
            problems, completions, name=name, progress=lambda done: progress("judged", done, len(problems))
        )


def _worked_examples(dataset: Dataset, tokenizer: Any) -> list[Any]:
    """Three training examples with the structure score of each token."""
    annotator = StructureAwareDataCollator(tokenizer).annotator
    examples = []
    for number, index in enumerate((0, len(dataset) // 2, len(dataset) - 1), 1):
        row = dataset[index]
        prompt = tokenizer(row["prompt"])["input_ids"]
        ids = tokenizer(row["prompt"] + row["completion"])["input_ids"]
        labels = [-100] * len(prompt) + ids[len(prompt) :]
        examples.append(token_example(ids, labels, annotator, title=f"Example {number}", prompt=row["prompt"]))
    return examples


def _write_cards(out: Path, results: Sequence[EvaluationResult], curves: dict[str, Any]) -> None:
    evaluation = json.loads((out / "report" / "results.json").read_text(encoding="utf-8"))
    for folder, result in zip(("baseline", "student"), results, strict=True):
        write_student_card(
            out / folder, curves=curves[result.name], evaluations=[evaluation], result_name=result.name,
            **arm_card(out / folder),
        )  # fmt: skip


def _print_table(console: Console, results: Sequence[EvaluationResult], problems: Sequence[Problem]) -> None:
    table = Table(
        title="Held-out problems, greedy (strict match, macro average)",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0),  # the table fits a terminal of 80 columns
    )
    for column in ("problems", "student", "pass@1", "syntax", "data flow", "parsed"):
        table.add_column(column, justify="left" if column in ("problems", "student") else "right", no_wrap=True)
    for row in source_rows(results, problems):
        table.add_row(*row.cells())
    console.print(table)


def _print_places(console: Console, out: Path, report: Path) -> None:
    for name, place in (
        ("report", report),
        ("", report.with_suffix(".md")),
        ("students", f"{out / 'student'} (structure-aware), {out / 'baseline'} (plain)"),
        ("data set", out / "traces"),
    ):
        console.print(f"{name:<10} {place}", soft_wrap=True, highlight=False)
