"""Publishing a folder that `structdistill traces` wrote."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import HfApi

from ..errors import InputError
from .cards import split_card
from .commit import CARD, Content, Publication, Repository, publish_files
from .datasets import CONFIGS, LENGTHS_FILE, OWN_FILE, REMOVALS_FILE

_PLACEHOLDER = "path/or/hub-id/of/this/dataset"


def publish_traces(
    folder: str | Path,
    repo_id: str,
    api: HfApi,
    *,
    public: bool = False,
    dry_run: bool = False,
    message: str | None = None,
) -> Publication:
    """Publish a trace data set as one commit; the same folder again makes none.

    Goes: the card, the Parquet files it names, its picture and the list of removals. The journal stays here. What the
    card on the Hub says outside our sections is kept, and Parquet files of an earlier publishing are deleted.

    Raises:
        InputError: the folder is not a trace data set, or the Hub refuses.
    """
    folder = Path(folder)
    card = _read_card(folder).replace(_PLACEHOLDER, repo_id)
    named = data_files(card)
    if missing := [name for name in named if not (folder / name).is_file()]:
        raise InputError(f"The card of '{folder}' names {missing[0]}, which is missing; write the data set again.")
    extras = [name for name in (LENGTHS_FILE, REMOVALS_FILE) if (folder / name).is_file()]
    files: dict[str, Content] = {name: folder / name for name in [*named, *extras]}
    return publish_files(
        api,
        Repository(repo_id, "dataset"),
        files,
        card,
        owned=_is_ours,
        message=message or f"Publish traces {folder.resolve().name}",
        public=public,
        dry_run=dry_run,
        left_out=_left_out(folder, files),
    )


def data_files(card: str) -> list[str]:
    """The files that a data set card's metadata name, in order; none where they are not told as ours are."""
    try:
        configs = split_card(card)[0].get("configs") or []
        return [str(entry["path"]) for config in configs for entry in config["data_files"]]
    except (KeyError, TypeError, yaml.YAMLError):
        return []


def _read_card(folder: Path) -> str:
    if not (folder / CARD).is_file():
        raise InputError(f"Expected a folder of `structdistill traces`, with {CARD}; found none in '{folder}'.")
    card = (folder / CARD).read_text(encoding="utf-8")
    if not data_files(card):
        raise InputError(
            f"Expected a folder of `structdistill traces`, found '{folder}', whose {CARD} does not name data files in "
            "the form of one; write the data set again."
        )
    return card


def _is_ours(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return (folder in CONFIGS and OWN_FILE.fullmatch(name) is not None) or path in (LENGTHS_FILE, REMOVALS_FILE)


def _left_out(folder: Path, files: dict[str, Content]) -> dict[str, str]:
    tops = {name.split("/")[0] for name in files} | {CARD}
    reasons = {"journal": "replies and verdicts, to continue from"}
    return {
        path.name + ("/" if path.is_dir() else ""): reasons.get(path.name.split(".")[0], "not part of the data set")
        for path in sorted(folder.iterdir())
        if path.name not in tops
    }
