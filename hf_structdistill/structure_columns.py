"""Structure that was found beforehand and travels as columns of a tokenized data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset, Features, IterableDataset, List, Value

from .errors import InputError
from .structure import Annotation, StructureAnnotator, TokenBytes

_FEATURES = {
    "structure_score": List(Value("float32")),
    "code_mask": List(Value("bool")),
    "ancestor_types": List(List(Value("int16"))),
    "dataflow_uses": List(Value("int32")),
    "dataflow_sources": List(List(Value("int32"))),
    "variable_positions": List(Value("int32")),
    "code_start": Value("int32"),
    "code_bytes": Value("int32"),
    "unparsed_bytes": Value("int32"),
}
STRUCTURE_COLUMNS = tuple(_FEATURES)
"""The fields of `structure.Annotation`."""


def annotate_dataset(
    dataset: Dataset | IterableDataset,
    tokenizer: Any,
    language: str = "python",
    num_ancestors: int = 4,
    **map_options: Any,
) -> Dataset | IterableDataset:
    """
    Add the structure of each example as columns, which `StructureAwareDataCollator` uses instead of finding it again.

    For training loops of one's own, and for structure from elsewhere: write columns of the same names. In
    `StructureAwareTrainer` columns are dropped by default, and found again; keep them with
    `remove_unused_columns=False`, a tokenized data set, and neither truncation (`max_length=None`) nor packing, which
    cut ids and labels only.

    Args:
        dataset: tokenized: `input_ids` and, where not every token is supervised, `labels` with -100.
        tokenizer: the student's.
        language: of the code.
        num_ancestors: k of `ancestor_types`; the collator's must be the same.
        map_options: of `datasets.Dataset.map`, such as `num_proc`.

    Returns:
        The data set with these columns (T tokens; positions count tokens of the example from 0):

        | column | shape, type | what |
        | --- | --- | --- |
        | structure_score | (T) float32 | s in [0, 1] |
        | code_mask | (T) bool | supervised token of code |
        | ancestor_types | (T, k) int16 | -100 where there is none |
        | dataflow_uses | (N) int32 | first token of a use |
        | dataflow_sources | (N, C) int32 | first tokens of its definitions, -1 padded |
        | variable_positions | (M) int32 | first token of every occurrence of a variable |
        | code_start, code_bytes, unparsed_bytes | int32 | first token of code or -1; bytes |

    Raises:
        InputError: the data set is not tokenized, or the tokenizer's bytes cannot be recovered.
    """
    columns = dataset.column_names
    if columns is not None and "input_ids" not in columns:
        raise InputError(
            f"annotate_dataset needs a tokenized data set with input_ids; found the columns {', '.join(columns)}. "
            "Tokenize it first, or leave it to the trainer, which finds structure by itself."
        )
    annotator = StructureAnnotator(TokenBytes.from_tokenizer(tokenizer), language, num_ancestors)

    def annotate(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        annotations = annotator.annotate_batch(batch["input_ids"], batch.get("labels"))
        return {name: [_plain(getattr(found, name), name) for found in annotations] for name in STRUCTURE_COLUMNS}

    options = {"batch_size": 100, **map_options}
    if isinstance(dataset, Dataset):
        options = {"features": _features(dataset, options.get("remove_columns")), **options}
    return dataset.map(annotate, batched=True, **options)


def _features(dataset: Dataset, removed: str | list[str] | None) -> Features:
    """Of the annotated data set: guessed from the first batch, they would be of no type where nothing flows in it."""
    gone = {removed} if isinstance(removed, str) else set(removed or ())
    return Features({**{name: kind for name, kind in dataset.features.items() if name not in gone}, **_FEATURES})


def _plain(value: Any, name: str) -> Any:
    if not isinstance(value, np.ndarray) or name in ("structure_score", "code_mask"):
        return value
    # rows as a list: the writer would keep the shape of an empty (0, 0) array for no later one to fit
    small = value.astype(np.int16 if name == "ancestor_types" else np.int32)
    return list(small) if small.ndim == 2 else small


def annotation_in(example: Mapping[str, Any], num_ancestors: int) -> Annotation | None:
    """The structure an example carries in its columns, or None.

    Raises:
        InputError: some columns are missing, or their lengths do not fit the example's ids: it was cut afterwards.
    """
    present = [name for name in STRUCTURE_COLUMNS if name in example]
    if not present:
        return None
    if len(present) < len(STRUCTURE_COLUMNS):
        absent = ", ".join(name for name in STRUCTURE_COLUMNS if name not in example)
        raise InputError(f"An example has the structure column {present[0]} but not {absent}; give all, or none.")
    length = len(example["input_ids"])
    lengths = example.get("seq_lengths")
    if lengths is not None and len(lengths) > 1:
        raise InputError(
            "Packed rows cannot carry structure columns, which belong to one example; drop them: the collator finds "
            "structure by itself."
        )
    found = Annotation(
        structure_score=np.asarray(example["structure_score"], dtype=np.float32),
        code_mask=np.asarray(example["code_mask"], dtype=bool),
        ancestor_types=_matrix(example, "ancestor_types", len(example["structure_score"])),
        dataflow_uses=np.asarray(example["dataflow_uses"], dtype=np.int64),
        dataflow_sources=_matrix(example, "dataflow_sources", len(example["dataflow_uses"])),
        variable_positions=np.asarray(example["variable_positions"], dtype=np.int64),
        code_start=int(example["code_start"]),
        code_bytes=int(example["code_bytes"]),
        unparsed_bytes=int(example["unparsed_bytes"]),
    )
    _check_fit(found, length, num_ancestors)
    return found


def _matrix(example: Mapping[str, Any], name: str, rows: int) -> np.ndarray:
    """A column of lists of one length, as (rows, that length) int64."""
    widths = {len(row) for row in example[name]}
    if len(example[name]) != rows or len(widths) > 1:
        raise InputError(
            f"{name} has {len(example[name])} rows of length {sorted(widths)}; expected {rows} rows of one length. "
            "Make the structure columns with annotate_dataset, after cutting."
        )
    return np.asarray(example[name], dtype=np.int64).reshape(rows, max(widths, default=0))


def _check_fit(found: Annotation, length: int, num_ancestors: int) -> None:
    lengths = {len(found.structure_score), len(found.code_mask), len(found.ancestor_types)}
    if lengths != {length}:
        raise InputError(
            f"Structure columns of length {sorted(lengths)} do not fit an example of {length} tokens: it was cut "
            "after they were made. Set max_length=None and packing=False, or make them after cutting, or drop them."
        )
    if found.ancestor_types.shape[1] != num_ancestors:
        raise InputError(
            f"ancestor_types has {found.ancestor_types.shape[1]} levels, the collator expects {num_ancestors}: call "
            f"annotate_dataset with num_ancestors={num_ancestors}, or set structure_num_ancestors."
        )
    positions = (found.dataflow_uses, found.dataflow_sources, found.variable_positions, np.array([found.code_start]))
    top = max((int(array.max()) for array in positions if array.size), default=-1)
    if top >= length:
        raise InputError(f"Structure columns point at token {top} of an example of {length} tokens; make them again.")
