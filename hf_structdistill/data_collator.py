"""StructureAwareDataCollator: TRL's features in, TRL's batch plus the tensors of the structural objectives out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compat import DataCollatorForLanguageModeling
from .errors import InputError
from .side_table import SideTable
from .structure import Annotation, StructureAnnotator, TokenBytes
from .structure_cache import StructureCache, content_key
from .structure_columns import annotation_in


@dataclass
class _Segment:
    """One example's place in the batch: its row, the offset of its first token there, and its structure."""

    row: int
    offset: int
    ids: np.ndarray
    labels: np.ndarray
    structure: Annotation


class StructureAwareDataCollator(DataCollatorForLanguageModeling):
    """
    Finds the code in each example from its token ids alone and adds its structure to TRL's batch.

    Code is looked for in the supervised part (labels other than -100). Packed examples (`seq_lengths`) are analysed
    one by one. An example is analysed once and remembered, whichever data-loader worker meets it again, so later
    epochs cost a look-up. One that carries the columns of `annotate_dataset` is not analysed at all.

    Args:
        tokenizer: the student's tokenizer (`transformers` or `tokenizers`), byte-level BPE or SentencePiece family.
        language (`str`, *optional*, defaults to `"python"`): language of the code.
        num_ancestors (`int`, *optional*, defaults to `4`): k of `ancestor_types`.
        side_table (`SideTable`, *optional*): wrong completions and bank rows by content.
        cache_size (`int`, *optional*, defaults to `20000`): examples to remember; 0 for none.
        wrapped (`bool`, *optional*, defaults to `False`): rows without `seq_lengths` are several examples on end,
            cut anywhere (TRL's packing "wrapped"). A new one starts after a supervised end-of-text token, and where
            unsupervised tokens follow supervised ones.
        pad_token_id (`int`, *optional*): defaults to the tokenizer's.
        padding_free, return_position_ids, pad_to_multiple_of: as in TRL's collator.

    Returns:
        TRL's keys, and (B rows of T tokens; A examples; positions are token indices within a row):

        | key | shape, type | what |
        | --- | --- | --- |
        | structure_score | (B, T) float32 | s in [0, 1] |
        | code_mask | (B, T) bool | supervised token of code |
        | segment_ids | (B, T) int64 | example of the token, -1 on padding |
        | ancestor_types | (B, T, k) int64 | -100 where there is none |
        | dataflow_uses | (N, 2) int64 | row, position of a use's first token |
        | dataflow_sources | (N, C) int64 | positions of its reaching definitions, -1 padded |
        | variable_positions | (M, 2) int64 | row, position of every variable occurrence |
        | name_ids | (B, T) int64 | the name that begins at the token, in code or not; 0 where none does |
        | code_starts | (A, 2) int64 | row, position of the first code token, for examples with code |
        | bank_rows | (A, P) int64 | rows of the embedding bank, -1 padded |
        | divergence | (D, 4) int64 | row, position, right token, wrong token |
        | structure_counts | (3,) int64 | supervised tokens in code, bytes of code, bytes that did not parse |

    Raises:
        InputError: the tokenizer's bytes cannot be recovered from its ids (WordPiece, lossy normalisers), or an
            example carries structure columns that do not fit its tokens.

    Example:

    ```python
    >>> from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    >>> alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    >>> tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    >>> tokenizer.decoder = decoders.ByteLevel()
    >>> collator = StructureAwareDataCollator(tokenizer, num_ancestors=1)
    >>> batch = collator([{"input_ids": tokenizer.encode("x = 1\\ny = x\\n").ids}])  # one token a byte
    >>> batch["structure_score"]
    tensor([[1.0000, 0.0000, 1.0000, 0.0000, 0.5000, 0.0000, 1.0000, 0.0000, 1.0000,
             0.0000, 1.0000, 0.0000]])
    >>> batch["variable_positions"].tolist()
    [[0, 0], [0, 6], [0, 10]]
    >>> batch["dataflow_uses"], batch["dataflow_sources"]
    (tensor([[ 0, 10]]), tensor([[0]]))

    ```
    """

    def __init__(
        self,
        tokenizer: Any,
        language: str = "python",
        num_ancestors: int = 4,
        side_table: SideTable | None = None,
        cache_size: int = 20_000,
        pad_token_id: int | None = None,
        padding_free: bool = False,
        return_position_ids: bool = False,
        pad_to_multiple_of: int | None = None,
        wrapped: bool = False,
    ) -> None:
        super().__init__(
            pad_token_id=_pad_token_id(tokenizer) if pad_token_id is None else pad_token_id,
            padding_free=padding_free,
            return_position_ids=return_position_ids,
            pad_to_multiple_of=pad_to_multiple_of,
        )
        self.annotator = StructureAnnotator(TokenBytes.from_tokenizer(tokenizer), language, num_ancestors)
        self.num_ancestors = num_ancestors
        self._eos_token_id = getattr(tokenizer, "eos_token_id", None)
        self.side_table = SideTable() if side_table is None else side_table
        self.wrapped = wrapped
        self.cache = StructureCache(cache_size)

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Collate TRL's features: `input_ids`, optional `labels`, `seq_lengths` and structure columns."""
        batch = super().torch_call(examples)
        segments = self._segments(examples)
        batch.update(self._dense_keys(segments, batch["input_ids"].shape))
        batch.update(_sparse_keys(segments))
        batch.update(self._side_keys(segments))
        return batch

    def annotate(self, segments: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Annotation]:
        """Structure of examples given as (ids, labels); those seen before come from the cache, the others are analysed
        together, which is faster than one by one."""
        keys = [content_key(ids, labels) for ids, labels in segments]
        found = self.cache.find(keys)
        fresh = {key: segment for key, segment in zip(keys, segments, strict=True) if key not in found}
        if fresh:
            annotations = self.annotator.annotate_batch(
                [ids for ids, _ in fresh.values()], [labels for _, labels in fresh.values()]
            )
            for key, annotation in zip(fresh, annotations, strict=True):
                found[key] = annotation
                self.cache.add(key, annotation)
        return [found[key] for key in keys]

    def _segments(self, examples: list[dict[str, Any]]) -> list[_Segment]:
        places, parts, known, row_start = [], [], [], 0
        for row, example in enumerate(examples):
            ids = np.asarray(example["input_ids"], dtype=np.int64)
            labels = np.asarray(example.get("labels", ids), dtype=np.int64)
            start = 0
            for length in self._lengths(example, ids, labels):
                parts.append((ids[start : start + length], labels[start : start + length]))
                places.append((0, row_start + start) if self.padding_free else (row, start))
                known.append(annotation_in(example, self.num_ancestors))
                start += length
            row_start += len(ids)
        found = iter(self.annotate([part for part, carried in zip(parts, known, strict=True) if carried is None]))
        return [
            _Segment(row, offset, ids, labels, next(found) if carried is None else carried)
            for (row, offset), (ids, labels), carried in zip(places, parts, known, strict=True)
        ]

    def _lengths(self, example: dict[str, Any], ids: np.ndarray, labels: np.ndarray) -> Sequence[int]:
        """How many tokens each example of a row has."""
        lengths = np.asarray(example.get("seq_lengths", [])).tolist()  # a tensor, where the data set has that format
        if lengths:
            if sum(lengths) != len(ids):
                raise InputError(f"seq_lengths sum to {sum(lengths)} in a row of {len(ids)} tokens; they must agree.")
            return lengths
        if not self.wrapped:
            return [len(ids)]
        supervised = labels != -100
        ends = supervised[:-1] & ((ids[:-1] == self._eos_token_id) | ~supervised[1:])
        return np.diff([0, *(ends.nonzero()[0] + 1), len(ids)]).tolist()

    def _dense_keys(self, segments: list[_Segment], shape: torch.Size) -> dict[str, Tensor]:
        rows, length = shape
        score = np.zeros((rows, length), dtype=np.float32)
        code = np.zeros((rows, length), dtype=bool)
        segment_ids = np.full((rows, length), -1, dtype=np.int64)
        names = np.zeros((rows, length), dtype=np.int64)
        ancestors = np.full((rows, length, self.num_ancestors), -100, dtype=np.int64)
        for number, segment in enumerate(segments):
            place = segment.row, slice(segment.offset, segment.offset + len(segment.ids))
            score[place] = segment.structure.structure_score
            code[place] = segment.structure.code_mask
            ancestors[place] = segment.structure.ancestor_types
            segment_ids[place] = number
            names[place] = self.annotator.table.name_ids(segment.ids)
        counts = np.array(
            [
                int(code.sum()),
                sum(segment.structure.code_bytes for segment in segments),
                sum(segment.structure.unparsed_bytes for segment in segments),
            ]
        )
        return {
            "structure_score": torch.from_numpy(score),
            "code_mask": torch.from_numpy(code),
            "segment_ids": torch.from_numpy(segment_ids),
            "name_ids": torch.from_numpy(names),
            "ancestor_types": torch.from_numpy(ancestors),
            "structure_counts": torch.from_numpy(counts),
        }

    def _side_keys(self, segments: list[_Segment]) -> dict[str, Tensor]:
        divergence: list[tuple[int, int, int, int]] = []
        starts, bank_rows = [], []
        for segment in segments:
            for wrong in self.side_table.rejected(segment.ids, segment.labels):
                parting = _first_parting(segment, wrong)
                if parting is not None:
                    divergence.append(parting)
            start = segment.structure.code_start
            if start > 0:
                starts.append((segment.row, segment.offset + start))
                bank_rows.append(self.side_table.bank_rows(segment.ids, start))
        return {
            "divergence": torch.tensor(divergence, dtype=torch.int64).view(-1, 4),
            "code_starts": torch.tensor(starts, dtype=torch.int64).view(-1, 2),
            "bank_rows": torch.from_numpy(_pad_rows([np.asarray(rows, dtype=np.int64) for rows in bank_rows])),
        }


def _first_parting(segment: _Segment, wrong: np.ndarray) -> tuple[int, int, int, int] | None:
    """Row, position, right token, wrong token where the segment and a wrong sequence of the same prompt part."""
    shared = min(len(segment.ids), len(wrong))
    differs = segment.ids[:shared] != wrong[:shared]
    at = int(differs.argmax()) if shared else 0
    if at == 0 or segment.labels[at] == -100:
        return None  # one was cut off before they part, or they part where nothing is learned
    return segment.row, segment.offset + at, int(segment.ids[at]), int(wrong[at])


def _sparse_keys(segments: list[_Segment]) -> dict[str, Tensor]:
    uses, sources, variables = [], [], []
    for segment in segments:
        structure = segment.structure
        uses.append(_placed(segment, structure.dataflow_uses))
        variables.append(_placed(segment, structure.variable_positions))
        found = structure.dataflow_sources
        sources.extend(np.where(found >= 0, found + segment.offset, -1))
    return {
        "dataflow_uses": torch.from_numpy(np.concatenate(uses)),
        "dataflow_sources": torch.from_numpy(_pad_rows(sources)),
        "variable_positions": torch.from_numpy(np.concatenate(variables)),
    }


def _placed(segment: _Segment, positions: np.ndarray) -> np.ndarray:
    """(n, 2) row and position in the batch of positions in the segment."""
    return np.stack([np.full_like(positions, segment.row), positions + segment.offset], axis=1)


def _pad_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Stack 1-D int64 arrays into (n, longest, at least 1), padded with -1."""
    width = max((len(row) for row in rows), default=0)
    padded = np.full((len(rows), max(width, 1)), -1, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


def _pad_token_id(tokenizer: Any) -> int:
    pad = getattr(tokenizer, "pad_token_id", None)
    return pad if pad is not None else (getattr(tokenizer, "eos_token_id", None) or 0)
