"""`structdistill evaluate`: complete the problems of a benchmark, run the code, score it, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..evaluation import EvaluationResult
    from ..problems.problem import Problem
    from ._evaluate_run import Completed

PROMPT_FORMATS = ("auto", "plain", "chat")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate")(evaluate)


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for the report, the scores and the completions.")],
    benchmark: Annotated[str, typer.Option(help="mbpp, mbpp_plus, humaneval, seed, listops, generated, or a file.")],
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
    endpoint: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server that has the --model, e.g. http://localhost:8000/v1.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that run the candidates' code.")] = None,
) -> None:
    """Evaluate one student, or compare several on the same problems (the first is the baseline).

    Run again with the same --out, it continues where it stopped.
    """
    from ..evaluation import write_report
    from ..evaluation.report import make_folder
    from ._evaluate_run import GenerationRun, RunOptions

    if bool(model) == (samples is not None):
        raise InputError("Give either --model (once or more) or --samples FILE.")
    if prompt_format not in PROMPT_FORMATS:
        raise InputError(f"Expected --prompt-format {', '.join(PROMPT_FORMATS)}; found '{prompt_format}'.")
    if num_samples > 1 and temperature == 0:
        raise InputError(
            f"--num-samples {num_samples} needs a --temperature above 0; greedy completions are all alike."
        )
    if endpoint and (prompt_format == "plain" or load_in_4bit or with_bits):
        raise InputError(
            "An --endpoint takes chat messages and gives text: drop --prompt-format, --load-in-4bit, --bits-per-byte."
        )
    problems = _load(benchmark, problems_file, split, limit)
    folder = make_folder(out)
    sampling = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
    if samples is not None:
        completions = _read_samples(samples, problems)
        settings: dict[str, Any] = {"samples_file": samples.name}
    else:
        options = RunOptions(
            benchmark, sampling, num_samples, batch_size, prompt_format, load_in_4bit, with_bits, endpoint
        )
        run = GenerationRun(folder, problems, options)
        completions = run.complete(model or [])
        settings = {"sampling": {**sampling, "num_samples": num_samples}, "prompt_format": run.formats}
    results = [_score(name, found, workers) for name, found in completions.items()]
    answered = {record.problem_id for result in results for record in result.records}
    problems = [problem for problem in problems if problem.id in answered]
    paths = write_report(folder, results, problems=problems, settings=settings)
    _print_results(results, paths)


def _load(benchmark: str, path: Path | None, split: str, limit: int | None) -> list[Problem]:
    from ..problems import BENCHMARKS, load_problems

    has_splits = benchmark in BENCHMARKS and bool(BENCHMARKS[benchmark].splits)
    chosen = None if split == "all" or (split == "test" and not has_splits) else split
    return load_problems(benchmark, split=chosen, path=path, limit=limit)


def _read_samples(path: Path, problems: list[Problem]) -> dict[str, Completed]:
    """Students of a samples file; a problem without a sample is left out of that student's score, and said so."""
    from ..evaluation.samples import completions_by_model, read_rows
    from ._evaluate_run import Completed

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
    from ._evaluate_run import progress_bars

    with progress_bars() as bar:
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


def _print_results(results: list[EvaluationResult], paths: dict[str, Path]) -> None:
    from rich.console import Console

    from ..evaluation.terminal import results_table

    console = Console()
    for part in results_table(results):
        console.print(part)
    console.print()
    for name, path in paths.items():
        console.print(f"{name:14} {path}", markup=False, highlight=False, soft_wrap=True)
