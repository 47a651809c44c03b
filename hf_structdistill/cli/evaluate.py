"""`structdistill evaluate`: complete the problems of a benchmark, run the code, score it, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..evaluation import EvaluationResult
    from ..problems.problem import Problem

PROMPT_FORMATS = ("auto", "plain", "chat")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate")(evaluate)


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for the report, the scores and the completions.")],
    benchmark: Annotated[str, typer.Option(help="mbpp, mbpp_plus, humaneval, listops, seed, or a JSONL file.")],
    model: Annotated[list[str] | None, typer.Option(help="Hub id or folder of a model or adapter; repeat.")] = None,
    samples: Annotated[Path | None, typer.Option(help="Score this samples file instead of generating.")] = None,
    problems_file: Annotated[Path | None, typer.Option(help="Read the benchmark from this file.")] = None,
    split: Annotated[str, typer.Option(help="Split of the benchmark, or 'all'.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N problems.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest completion.")] = 512,
    batch_size: Annotated[int, typer.Option(min=1, help="Completions at a time.")] = 16,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus, with a temperature.")] = 1.0,
    num_samples: Annotated[int, typer.Option(min=1, help="Completions a problem, for pass@k.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    prompt_format: Annotated[str, typer.Option(help="auto, plain or chat.")] = "auto",
    load_in_4bit: Annotated[bool, typer.Option("--load-in-4bit", help="NF4 through bitsandbytes.")] = False,
    with_bits: Annotated[
        bool, typer.Option("--bits-per-byte", help="Also measure the likelihood of the references.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that run the candidates' code.")] = None,
) -> None:
    """Evaluate one student, or compare several on the same problems (the first is the baseline).

    Run again with the same --out, it continues where it stopped.
    """
    from ..evaluation import write_report
    from ..evaluation.report import make_folder

    if bool(model) == (samples is not None):
        raise InputError("Give either --model (once or more) or --samples FILE.")
    if prompt_format not in PROMPT_FORMATS:
        raise InputError(f"Expected --prompt-format {', '.join(PROMPT_FORMATS)}; found '{prompt_format}'.")
    if num_samples > 1 and temperature == 0:
        raise InputError(
            f"--num-samples {num_samples} needs a --temperature above 0; greedy completions are all alike."
        )
    problems = _load(benchmark, problems_file, split, limit)
    folder = make_folder(out)
    sampling = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "load_in_4bit": load_in_4bit,
    }
    if samples is not None:
        completions = _read_samples(samples, problems)
        settings: dict[str, Any] = {"samples_file": samples.name}
    else:
        run = GenerationRun(folder, problems, benchmark, sampling, num_samples, batch_size, prompt_format, with_bits)
        completions = run.complete(model)
        settings = {"sampling": {**sampling, "num_samples": num_samples}, "prompt_format": run.formats}
    results = [_score(name, found, workers) for name, found in completions.items()]
    answered = {record.problem_id for result in results for record in result.records}
    problems = [problem for problem in problems if problem.id in answered]
    paths = write_report(folder, results, problems=problems, settings=settings)
    _print_results(results, paths)


class GenerationRun:
    """Completes the problems with one model after another, keeping what an earlier run has finished."""

    def __init__(
        self,
        folder: Path,
        problems: list[Problem],
        benchmark: str,
        sampling: dict[str, Any],
        num_samples: int,
        batch_size: int,
        prompt_format: str,
        with_bits: bool,
    ):
        from ..evaluation.session import CompletionLog

        self.problems, self.sampling, self.num_samples = problems, sampling, num_samples
        self.batch_size, self.prompt_format, self.with_bits = batch_size, prompt_format, with_bits
        self.log = CompletionLog(folder, {"benchmark": Path(benchmark).name, **sampling})
        self.formats: dict[str, str] = {}

    def complete(self, models: list[str]) -> dict[str, Completed]:
        """Label -> what the model wrote, for every model."""
        from ..evaluation.generate import check_model_folder
        from ..evaluation.session import model_labels

        for name in models:
            check_model_folder(name)  # all of them, before the first one takes an hour
        return {label: self._complete(label, name) for label, name in zip(model_labels(models), models, strict=True)}

    def _complete(self, label: str, name: str) -> Completed:
        from ..evaluation.generate import load_student
        from ..evaluation.prompts import choose_format, make_prompts
        from ..evaluation.session import model_fingerprint, prompt_hashes

        self.formats[label] = choose_format(name, self.prompt_format)
        prompts = make_prompts(self.problems, self.formats[label])
        hashes = prompt_hashes(self.problems, prompts)
        identity = {"fingerprint": model_fingerprint(name), "prompt_format": self.formats[label]}
        done = self.log.begin(label, identity, hashes)
        wanted = [(i, sample) for i in range(len(self.problems)) for sample in range(self.num_samples)]
        missing = [(i, sample) for i, sample in wanted if (self.problems[i].id, sample) not in done]
        bits = None
        if missing or self.with_bits:
            student, tokenizer = load_student(name, load_in_4bit=self.sampling["load_in_4bit"])
            self._generate(label, student, tokenizer, prompts, hashes, missing, done)
            bits = self._bits(label, student, tokenizer, prompts)
        rows = [[done[p.id, sample] for sample in range(self.num_samples)] for p in self.problems]
        texts = [[text for text, _ in row] for row in rows]
        return Completed(self.problems, texts, [[tokens for _, tokens in row] for row in rows], bits)

    def _generate(
        self, label: str, student: Any, tokenizer: Any, prompts: Any, hashes: Any, missing: Any, done: Any
    ) -> None:
        from ..evaluation.generate import iterate_completions

        sampling = {key: value for key, value in self.sampling.items() if key != "load_in_4bit"}
        chosen = [prompts[i] for i, _ in missing]
        with _progress() as bar:
            total = len(self.problems) * self.num_samples
            task = bar.add_task(f"{label}: completions", total=total, completed=total - len(missing))
            for batch in iterate_completions(student, tokenizer, chosen, batch_size=self.batch_size, **sampling):
                rows = []
                for completion in batch:
                    i, sample = missing[completion.index]
                    problem_id = self.problems[i].id
                    done[problem_id, sample] = (completion.text, completion.tokens)
                    rows.append(
                        {
                            "model": label,
                            "problem_id": problem_id,
                            "sample": sample,
                            "prompt_hash": hashes[problem_id],
                            "completion": completion.text,
                            "tokens": completion.tokens,
                        }
                    )
                self.log.append(rows)
                bar.advance(task, len(batch))

    def _bits(self, label: str, student: Any, tokenizer: Any, prompts: Any) -> float | None:
        from ..evaluation.likelihood import bits_per_byte

        if not self.with_bits:
            return None
        with _progress() as bar:
            task = bar.add_task(f"{label}: likelihood", total=sum(bool(p.reference) for p in self.problems))
            return bits_per_byte(
                student,
                tokenizer,
                self.problems,
                prompts=prompts,
                batch_size=self.batch_size,
                progress=lambda count: bar.update(task, completed=count),
            )


class Completed:
    """The problems one student answered, with its samples, their lengths in tokens, and its bits per byte."""

    def __init__(self, problems: list[Problem], texts: list[list[str]], tokens: Any = None, bits: float | None = None):
        self.problems, self.texts, self.tokens, self.bits = problems, texts, tokens, bits


def _load(benchmark: str, path: Path | None, split: str, limit: int | None) -> list[Problem]:
    from ..problems import BENCHMARKS, load_problems

    has_splits = benchmark in BENCHMARKS and bool(BENCHMARKS[benchmark].splits)
    chosen = None if split == "all" or (split == "test" and not has_splits) else split
    return load_problems(benchmark, split=chosen, path=path, limit=limit)


def _read_samples(path: Path, problems: list[Problem]) -> dict[str, Completed]:
    """Students of a samples file; a problem without a sample is left out of that student's score, and said so."""
    from ..evaluation.samples import completions_by_model, read_rows

    grouped = completions_by_model(read_rows(path), problems, path, default_name=path.stem)
    found = {}
    for name, texts in grouped.items():
        answered = [i for i, entry in enumerate(texts) if entry]
        if len(answered) < len(problems):
            typer.echo(f"{name}: {len(problems) - len(answered)} of {len(problems)} problems have no sample", err=True)
        found[name] = Completed([problems[i] for i in answered], [texts[i] for i in answered])
    return found


def _score(name: str, completed: Completed, workers: int | None) -> EvaluationResult:
    from ..evaluation import score_completions

    with _progress() as bar:
        task = bar.add_task(f"{name}: running the code", total=sum(len(texts) for texts in completed.texts))
        return score_completions(
            completed.problems,
            completed.texts,
            name=name,
            tokens=completed.tokens,
            workers=workers,
            bits_per_byte=completed.bits,
            progress=lambda count: bar.update(task, completed=count),
        )


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _print_results(results: list[EvaluationResult], paths: dict[str, Path]) -> None:
    from rich.console import Console

    from ..evaluation.terminal import results_table

    console = Console()
    for part in results_table(results):
        console.print(part)
    console.print()
    for name, path in paths.items():
        console.print(f"{name:14} {path}", markup=False, highlight=False, soft_wrap=True)
