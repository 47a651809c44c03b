"""`structdistill embed`: the bank of solutions that the alignment and embedding-cosine objectives compare with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..code_encoders import CodeEncoder


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("embed")(embed)


def embed(
    dataset: Annotated[str, typer.Option(help="Traces folder, .jsonl or .parquet file, or id of a Hub data set.")],
    encoder: Annotated[
        str, typer.Option(help="Code encoder (id on the Hub, or folder), or 'fingerprint', which needs no model.")
    ] = "microsoft/codebert-base",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the encoder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the bank; by default beside the data set.")] = None,
    config: Annotated[str | None, typer.Option(help="Config of the data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    language: Annotated[str, typer.Option(help="Language of the code.")] = "python",
    text_field: Annotated[str, typer.Option(help="Column of a plain text data set.")] = "text",
    batch_size: Annotated[int, typer.Option(min=1, help="Programs encoded at once.")] = 32,
) -> None:
    """Embed every solution of a training set once, right and wrong ones.

    `structdistill train` finds the bank beside the data set; elsewhere name its folder in alignment_bank. Run again,
    the command continues where it stopped.
    """
    from ..code_encoders import load_encoder
    from ..evaluation.folder import make_folder
    from ..structure.languages import get_language
    from ..supervision import all_solutions
    from ._training_data import bank_folder, read_training_set

    language = get_language(language).name
    rows = read_training_set(dataset, config, split, text_field=text_field)
    codes = list(all_solutions(rows, language, text_field))
    if not codes:
        raise InputError(
            f"No completion of '{dataset}' holds {language} code that could be found; expected a fenced block, or "
            "nothing but code."
        )
    out = make_folder(out or bank_folder(dataset))
    _make_bank(codes, load_encoder(encoder, revision, language, batch_size), out)


def _make_bank(codes: list[str], encoder: CodeEncoder, out: Path) -> None:
    from ..solution_bank import SolutionBank, build_bank
    from ._progress import stage_progress

    try:
        bank = SolutionBank.load(out)
        bank.check_covers(codes, str(out))
        fresh = any(bank.info.get(name) != value for name, value in encoder.identity.items())
    except InputError:
        fresh = True
    if fresh:
        with stage_progress("embed", {"embed": str(encoder.identity["encoder"])}) as report:
            bank = build_bank(codes, encoder, parts=out, progress=lambda done, total: report("embed", done, total))
        bank.save(out)
    typer.echo(f"{len(bank)} solutions, {bank.vectors.shape[1]} dimensions, by {encoder.identity['encoder']}: {out}")
