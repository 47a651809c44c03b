"""`structdistill publish`: traces, a student, the metrics; one commit each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..hub.commit import Publication

HELP = """Publish to the Hub: one commit, which is there as a whole or not at all.

A new repository is private; --public opens it. Publishing the same again changes nothing. After an interruption the
previous revision is intact: run the same command again.
"""

Public = Annotated[bool, typer.Option("--public", help="Open the repository; a new one is private otherwise.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")]
TokenFromEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable that holds the token; by default HF_TOKEN, or what hf auth login stored."),
]
RepoId = Annotated[str, typer.Option("--repo", help="NAMESPACE/NAME on the Hub.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help=HELP, no_args_is_help=True)
    for command in (student, traces, metrics):
        group.command(command.__name__)(command)
    app.add_typer(group, name="publish")


def student(
    folder: Annotated[Path, typer.Argument(help="Where the student was saved.")],
    repo: RepoId,
    merge: Annotated[bool, typer.Option("--merge", help="Merge the adapter into its base, in 16 bits.")] = False,
    dtype: Annotated[str, typer.Option(help="Of the merged model: bfloat16, float16 or float32.")] = "bfloat16",
    base_model: Annotated[
        str | None, typer.Option(help="Hub id of the base, where the adapter was trained on a local copy.")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="results.json of `structdistill evaluate`, for the card. Repeatable.")
    ] = None,
    result_name: Annotated[
        str | None, typer.Option(help="Which student of the results this is; by default by its weights or name.")
    ] = None,
    licence: Annotated[str | None, typer.Option("--license", help="For the card, e.g. apache-2.0.")] = None,
    public: Public = False,
    dry_run: DryRun = False,
    token_from_env: TokenFromEnv = None,
) -> None:
    """Publish a student: adapter or whole model, safetensors only, with its card."""
    from ..hub.students import publish_student, select_student_files
    from ..model_card import with_own_entry

    select_student_files(folder)  # what is wrong here is said before anybody signs in
    evaluations = [with_own_entry(_read_results(path), folder, result_name) for path in results or ()]
    api = _sign_in(token_from_env)
    _report(
        publish_student(
            folder,
            repo,
            api,
            merge=merge,
            dtype=dtype,
            base_model=base_model,
            evaluations=evaluations,
            license=licence,
            public=public,
            dry_run=dry_run,
        )
    )


def traces(
    folder: Annotated[Path, typer.Argument(help="What `structdistill traces --out` wrote.")],
    repo: RepoId,
    public: Public = False,
    dry_run: DryRun = False,
    token_from_env: TokenFromEnv = None,
) -> None:
    """Publish a data set of traces: the card and the Parquet files it names."""
    from ..hub.traces import publish_traces

    _report(publish_traces(folder, repo, _sign_in(token_from_env), public=public, dry_run=dry_run))


def metrics(
    namespace: Annotated[str, typer.Option(help="User or organization whose Spaces they become.")],
    only: Annotated[list[str] | None, typer.Option(help="Publish this metric only. Repeatable.")] = None,
    public: Public = False,
    dry_run: DryRun = False,
    token_from_env: TokenFromEnv = None,
) -> None:
    """Publish the metrics as Spaces, for `evaluate.load("NAMESPACE/dataflow_match")`."""
    from ..hub.metrics import publish_metrics

    api = _sign_in(token_from_env)
    for publication in publish_metrics(namespace, api, names=only or (), public=public, dry_run=dry_run):
        _report(publication)


def _sign_in(token_from_env: str | None) -> Any:
    from ..hub.session import sign_in

    return sign_in(token_from_env=token_from_env)


def _read_results(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Expected a results.json of `structdistill evaluate` at '{path}': {error}") from error
    if not isinstance(facts, dict) or not {"benchmark", "models"} <= set(facts):
        raise InputError(f"'{path}' has no benchmark and models; expected a results.json of `structdistill evaluate`.")
    return facts


def _report(publication: Publication) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, markup=False)
    commit = publication.commit
    for path, size in publication.uploaded.items():
        console.print(f"  upload     {path} ({_size(size)})")
    for path in publication.deleted:
        console.print(f"  delete     {path}")
    if publication.unchanged:
        console.print(f"  unchanged  {len(publication.unchanged)} files")
    for name, reason in publication.left_out.items():
        console.print(f"  left out   {name}: {reason}")
    for note in publication.notes:
        console.print(f"note: {note}")
    seen = "private" if publication.private else "public"
    if commit is None:
        console.print(f"dry run: nothing was sent to {publication.repository.url} ({seen}).")
    elif not (publication.uploaded or publication.deleted):
        console.print(f"unchanged: {publication.repository.url} ({seen}) holds this already, revision {commit.oid}.")
    else:
        console.print(f"published: {publication.repository.url} ({seen}), revision {commit.oid}.")


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
