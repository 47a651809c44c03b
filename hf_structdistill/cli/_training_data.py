"""Reads a training set from where the user says it is, and knows where its bank of solutions lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

LAYOUTS = ({"prompt", "completion"}, {"messages"}, {"conversations"}, {"input_ids"})
"""What SFTTrainer can read, besides a column of text."""

TRACES = {"messages", "teacher", "recipe", "status"}
"""Columns of the config `traces`: what a teacher was asked, beside a verdict, and no answer to learn."""


def read_training_set(
    name: str, config: str | None = None, split: str = "train", *, streaming: bool = False, text_field: str = "text"
) -> Dataset:
    """
    A traces folder, a data set on the Hub, or a .jsonl or .parquet file.

    Raises:
        InputError: it cannot be read, has no rows, holds traces alone, or none of the layouts that SFTTrainer reads.
    """
    dataset = _read_file(name) if os.path.isfile(name) else _read_folder_or_hub(name, config, split, streaming)
    columns = set(dataset.column_names or ())
    if TRACES <= columns:
        raise InputError(
            f"The data set '{name}' has replies with verdicts (config 'traces') and no training examples; expected "
            "the config 'sft'. If there is none, no reply to a training problem passed: trace other problems, or ask "
            "another teacher."
        )
    if columns and not any(needed <= columns for needed in (*LAYOUTS, {text_field})):
        raise InputError(
            f"The data set '{name}' has the columns {', '.join(sorted(columns))}; expected prompt and completion, or "
            f"messages, or {text_field}."
        )
    if not streaming and len(dataset) == 0:
        raise InputError(f"The data set '{name}' has no rows; expected prompt and completion columns with rows.")
    return dataset


def _read_file(path: str) -> Dataset:
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    kind = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}.get(os.path.splitext(path)[1])
    if kind is None:
        raise InputError(f"'{path}' is not a .jsonl, .json or .parquet file; convert it, or give a folder.")
    if _is_blank(path):
        raise InputError(f"'{path}' is empty; expected rows with prompt and completion.")
    try:
        return load_dataset(kind, data_files=path, split="train")
    except (DatasetGenerationError, ValueError) as error:  # pyarrow.ArrowInvalid is a ValueError
        raise InputError(f"'{path}' could not be read as {kind}: {_reason(error)}") from error


def _is_blank(path: str) -> bool:
    with open(path, "rb") as file:
        return not any(line.strip() for line in file)


def _reason(error: Exception) -> str:
    """The first line of what is behind an error."""
    return str(error.__cause__ or error).strip().partition("\n")[0] or type(error).__name__


def _read_folder_or_hub(name: str, config: str | None, split: str, streaming: bool) -> Dataset:
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    if config is None and os.path.isdir(os.path.join(name, "sft")):
        config = "sft"  # the folder that `structdistill traces` writes
    try:
        return load_dataset(name, name=config, split=split, streaming=streaming)
    except (FileNotFoundError, ValueError, ConnectionError, DatasetGenerationError) as error:
        raise InputError(
            f"The data set '{name}' could not be loaded ({_reason(error)}). Expected a folder written by "
            "`structdistill traces`, a .jsonl or .parquet file, or the id of a data set on the Hub."
        ) from error


def bank_folder(dataset_name: str) -> Path:
    """Where the bank of a data set lies: beside the folder or file (in it, `load_dataset` would take its description
    for data), or in the cache of `datasets` for one on the Hub."""
    if os.path.exists(dataset_name):
        path = Path(dataset_name).resolve()
        return path.with_name(path.name + ".solution_bank")
    from datasets import config

    return Path(config.HF_DATASETS_CACHE) / "solution_banks" / dataset_name.replace("/", "___")
