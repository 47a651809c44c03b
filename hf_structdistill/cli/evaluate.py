"""`structdistill evaluate`: complete the problems of a benchmark, run the code, score it, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError

PROMPT_FORMATS = ("auto", "plain", "chat")
GENERATION = frozenset(
    "prompt prompt_format shots_file max_new_tokens batch_size temperature top_p num_samples seed load_in_4bit "
    "with_bits".split()
)
HELP = """Evaluate one student, or compare several on the same problems (the first is the baseline).

Completions come from models of this machine or the Hub, from an OpenAI-compatible endpoint, or from files of samples.
Run again with the same --out, it continues where it stopped.
"""
_CODE = "Sandbox: "

Out = Annotated[Path, typer.Option(help="Folder for the report, the scores and the completions.")]
Benchmark = Annotated[str, typer.Option(help="mbpp, mbpp_plus, humaneval, seed, listops, generated, or a file.")]
ProblemsFile = Annotated[Path | None, typer.Option(help="Read the benchmark from this file, not the Hub.")]
Split = Annotated[str, typer.Option(help="Split of the benchmark, or 'all'.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N problems.")]
Models = Annotated[list[str] | None, typer.Option(help="Hub id or folder of a model or adapter. Repeatable.")]
Endpoint = Annotated[
    str | None, typer.Option(help="OpenAI-compatible server that has the --model, e.g. http://localhost:8000/v1.")
]
Samples = Annotated[
    list[str] | None,
    typer.Option(help="Score this file's samples (ours, evalplus', bigcode's): FILE or NAME=FILE. Repeatable."),
]
Rescore = Annotated[bool, typer.Option("--rescore", help="Score the samples in --out again; generate nothing.")]
Prompt = Annotated[str, typer.Option(help="zero_shot, completion, mbpp_3shot, or a Jinja file.")]
PromptFormat = Annotated[str, typer.Option(help="auto, plain or chat.")]
ShotsFile = Annotated[Path | None, typer.Option(help="MBPP as a file, for the solved tasks that mbpp_3shot shows.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Longest completion.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Completions at a time.")]
Temperature = Annotated[float, typer.Option(min=0.0, help="0 is greedy.")]
TopP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Nucleus, with a temperature.")]
NumSamples = Annotated[int, typer.Option(min=1, help="Completions a problem, for pass@k.")]
Seed = Annotated[int, typer.Option(help="Of the sampling.")]
FourBit = Annotated[bool, typer.Option("--load-in-4bit", help="NF4 through bitsandbytes.")]
Bits = Annotated[bool, typer.Option("--bits-per-byte", help="Also measure the likelihood of the references.")]
CpuSeconds = Annotated[float, typer.Option(min=0.01, help=_CODE + "CPU time of a program.")]
WallSeconds = Annotated[float, typer.Option(min=0.01, help=_CODE + "time of a program that waits.")]
MemoryMb = Annotated[int, typer.Option(min=64, help=_CODE + "memory of a program, in MiB.")]
Workers = Annotated[int | None, typer.Option(min=1, help=_CODE + "programs at a time; default: the cores.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate", help=HELP)(evaluate)


def evaluate(
    context: typer.Context,
    out: Out,
    benchmark: Benchmark,
    model: Models = None,
    samples: Samples = None,
    rescore: Rescore = False,
    endpoint: Endpoint = None,
    problems_file: ProblemsFile = None,
    split: Split = "test",
    limit: Limit = None,
    prompt: Prompt = "zero_shot",
    prompt_format: PromptFormat = "auto",
    shots_file: ShotsFile = None,
    max_new_tokens: MaxNewTokens = 512,
    batch_size: BatchSize = 16,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    num_samples: NumSamples = 1,
    seed: Seed = 0,
    load_in_4bit: FourBit = False,
    with_bits: Bits = False,
    cpu_seconds: CpuSeconds = 5.0,
    wall_seconds: WallSeconds = 30.0,
    memory_mb: MemoryMb = 1024,
    workers: Workers = None,
) -> None:
    """Gather completions, score and report them."""
    from ..evaluation.folder import make_folder
    from ._evaluate_scores import load_benchmark, read_students, report, rescored_students, together

    _check_sources(model, samples, rescore, endpoint)
    if not model:
        _refuse_unread(context)
    _check_generation(prompt_format, num_samples, temperature)
    if endpoint:
        _check_endpoint(endpoint, prompt_format, load_in_4bit, with_bits)
    problems = load_benchmark(benchmark, problems_file, split, limit)
    folder = make_folder(out)
    settings: dict[str, Any] = {}
    students = {}
    if model:
        recipe = _recipe(prompt, shots_file or (problems_file if benchmark == "mbpp" else None), problems)
        sampling = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        options = (num_samples, batch_size, prompt_format, load_in_4bit, with_bits, endpoint)
        students, settings = _generate(model, folder, problems, benchmark, sampling, recipe, options)
    if rescore:
        students, settings = rescored_students(folder, problems)
    for source in samples or []:
        students = together(students, read_students(source, problems, folder, first_only=limit is not None))
        settings.setdefault("samples_files", []).append(Path(source.partition("=")[2] or source).name)
    limits = {"cpu_seconds": cpu_seconds, "wall_seconds": wall_seconds, "memory_mb": memory_mb}
    report(folder, problems, students, settings, workers=workers, **limits)


def _check_sources(model: list[str] | None, samples: list[str] | None, rescore: bool, endpoint: str | None) -> None:
    if not (model or samples or rescore):
        raise InputError("Give --model (once or more), --samples FILE, or --rescore.")
    if rescore and model:
        raise InputError("--rescore generates nothing: give it without --model.")
    if endpoint and not model:
        raise InputError("An --endpoint needs --model, the name the server knows.")


def _refuse_unread(context: typer.Context) -> None:
    """Options about generating, where nothing is generated: better said than left undone without a word."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in GENERATION and source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"{option.opts[0]} is about generating, but without --model nothing is generated; leave it out, or "
                "give --model."
            )


def _check_generation(prompt_format: str, num_samples: int, temperature: float) -> None:
    if prompt_format not in PROMPT_FORMATS:
        raise InputError(f"Expected --prompt-format {', '.join(PROMPT_FORMATS)}; found '{prompt_format}'.")
    if num_samples > 1 and temperature == 0:
        raise InputError(
            f"--num-samples {num_samples} needs a --temperature above 0; greedy completions are all alike."
        )


def _check_endpoint(endpoint: str, prompt_format: str, load_in_4bit: bool, with_bits: bool) -> None:
    from ..teachers.inference import check_address

    check_address(endpoint, "--endpoint")
    if prompt_format == "plain" or load_in_4bit or with_bits:
        raise InputError(
            "An --endpoint takes chat messages and gives text: drop --prompt-format, --load-in-4bit, --bits-per-byte."
        )


def _recipe(name: str, shots_file: Path | None, problems: list[Any]) -> Any:
    from ..evaluation.recipes import check_shots, load_recipe

    recipe = load_recipe(name, shots_file=shots_file)
    check_shots(recipe, problems)
    return recipe


def _generate(
    models: list[str],
    folder: Path,
    problems: list[Any],
    benchmark: str,
    sampling: dict[str, Any],
    recipe: Any,
    options: tuple[Any, ...],
) -> tuple[dict[str, Any], dict[str, Any]]:
    from ._evaluate_run import GenerationRun, RunOptions

    chosen = RunOptions(benchmark, sampling, recipe, *options)
    return GenerationRun(folder, problems, chosen).complete(models), chosen.facts()
