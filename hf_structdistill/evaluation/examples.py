"""Worked examples for the report: the tokens of a training example with their structure scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class TokenExample:
    """Tokens as text, each with its weight.

    Attributes:
        title: what the example is, e.g. the problem's id.
        tokens: N pieces of text; joined they are the completion.
        weights: N numbers: the structure score, or None for a token outside the code (reasoning, fences).
        prompt: what the student was asked; shown above the tokens.
    """

    title: str
    tokens: Sequence[str]
    weights: Sequence[float | None]
    prompt: str = ""

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.weights):
            raise InputError(
                f"Example '{self.title}' has {len(self.tokens)} tokens but {len(self.weights)} weights; "
                "give one weight (or None) a token."
            )

    @classmethod
    def coerce(cls, example: Any) -> TokenExample:
        """Take a TokenExample, a mapping with its fields, or an object with its attributes."""
        if isinstance(example, TokenExample):
            return example
        read = example.get if isinstance(example, Mapping) else lambda key, default: getattr(example, key, default)
        tokens, weights = read("tokens", None), read("weights", None)
        if tokens is None or weights is None:
            raise InputError("A worked example needs `tokens` and `weights`; see evaluation.TokenExample.")
        weights = [None if weight is None else float(weight) for weight in weights]
        return cls(str(read("title", "example")), list(tokens), weights, str(read("prompt", "")))


def token_example(
    input_ids: Sequence[int], labels: Sequence[int], annotator: Any, *, title: str, prompt: str = ""
) -> TokenExample:
    """Colour one training example as the loss sees it.

    Args:
        input_ids, labels: T ids of one example; labels are -100 where nothing is learnt.
        annotator: a [`structure.StructureAnnotator`] for the tokenizer that made the ids.
        prompt: shown above the tokens; the unsupervised ids themselves are left out.
    """
    annotation = annotator.annotate(list(input_ids), labels=list(labels))
    pieces: list[str] = []
    weights: list[float | None] = []
    pending = b""
    for position, token in enumerate(input_ids):
        if labels[position] == -100:
            continue
        # a character may be spread over several tokens: keep them together until it can be shown
        pending += annotator.table.bytes_of([token])
        text = _complete_text(pending)
        if text is None:
            continue
        pieces.append(text)
        weights.append(float(annotation.structure_score[position]) if annotation.code_mask[position] else None)
        pending = b""
    if pending:
        pieces.append(pending.decode("utf-8", errors="replace"))
        weights.append(None)
    if pieces and weights[0] is None:
        pieces[0] = pieces[0].lstrip("\n")  # the end of the prompt, where a tokenizer cuts it another way alone
    return TokenExample(title, pieces, weights, prompt)


def _complete_text(data: bytes) -> str | None:
    """The text of `data`, or None while its last character is incomplete."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None if error.end == len(data) and len(data) - error.start < 4 else data.decode("utf-8", "replace")
