"""Token ids to the bytes they spell.

tree-sitter counts bytes, so alignment does too. A tokenizer's own offset mappings are not used: they count characters,
come back zero-width from some byte-level tokenizers (huggingface/tokenizers#1688), and are gone after a chat template,
truncation or packing. What each id spells is a property of the vocabulary alone; from it the offsets of any sequence
of ids are one gather and one cumulative sum.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .vocabularies import Vocabulary, read_vocabulary

# What the round trip is checked on: every feature of code that some tokenizer family is known to rewrite.
_PROBES = (
    "def area(w, h):\n    return w * h\n",
    "if x:\n\ty = [1,  2]\r\n\n\n    # Done, don't.  A  B\n",
    "class A(B): x = {'k': \"v\"}  ",
    "s = 'é ü ß 漢字 かな 🤖👩‍👩‍👧'\n",
    "t = 'ﬁ ① （ｘ） …'\n",
)
_PRIVATE_USE = "\U000f1234"

WHITE_SPACE = b" \t\r\n\f\v"
_LETTER = rb"[\w\x80-\xff]"
_WORD = re.compile(rb"[^\w\x80-\xff]*((?![0-9])" + _LETTER + rb"+)[^\w\x80-\xff]*", re.DOTALL)


class TokenBytes:
    """A table from token ids to bytes: build it once per tokenizer with `TokenBytes.from_tokenizer`.

    Attributes:
        special: bool array, one entry per id: control tokens such as `<s>` or `<|im_end|>`, which are no text.
        dummy_prefix: whether the tokenizer writes a space in front of every text (Llama 2, T5, RoBERTa): then
            `bytes_of(encode(text))` is `b" " + text`. The space is kept because the first token does contain it.

    An id outside the table (a padded embedding row) spells nothing. A literal U+2581 in a text is indistinguishable
    from a space to the SentencePiece families, which spell both as U+2581.
    """

    def __init__(self, pieces: Sequence[bytes], special: Iterable[int] = (), *, dummy_prefix: bool = False) -> None:
        self.dummy_prefix = dummy_prefix
        self.special = np.zeros(len(pieces), dtype=bool)
        self.special[list(special)] = True
        # Row 0 and the last row are empty, and id i is row i + 1: clipped gathers send unknown ids to one of them.
        self._pieces = _as_objects([b"", *pieces, b""])
        self._widths = np.array(list(map(len, self._pieces)), dtype=np.int64)
        self._hidden = hidden = np.concatenate([[False], self.special, [False]])
        self._text_pieces = self._pieces.copy()
        self._text_pieces[hidden] = b""
        self._text_widths = np.where(hidden, 0, self._widths)
        blanks = [len(piece) - len(piece.lstrip(WHITE_SPACE)) for piece in self._text_pieces]
        self._text_blanks = np.array(blanks, dtype=np.int64)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> TokenBytes:
        """Reads the vocabulary and checks it by a round trip on texts with the features of code.

        Args:
            tokenizer: a tokenizer of transformers, a `tokenizers.Tokenizer`, a SentencePiece processor, a tiktoken
                encoding or a tokenizer of mistral-common.

        Raises:
            InputError: the tokenizer is of another kind, or does not keep text byte for byte (WordPiece; normalizers
                that lower-case, strip accents, apply NFKC or merge spaces). NFC is accepted: it leaves code alone.

        The table is kept as long as the tokenizer lives, and rebuilt when tokens were added to it.
        """
        size = _vocabulary_size(tokenizer)
        try:
            known = _tables.get(tokenizer)
        except TypeError:  # cannot be referenced weakly, so nothing to remember it by
            return cls._checked(read_vocabulary(tokenizer))
        if known is None or known[0] != size:
            known = _tables[tokenizer] = (size, cls._checked(read_vocabulary(tokenizer)))
        return known[1]

    @classmethod
    def _checked(cls, vocabulary: Vocabulary) -> TokenBytes:
        table = cls(vocabulary.pieces, vocabulary.special)
        table.dummy_prefix = table.bytes_of(vocabulary.encode("x")).startswith(b" ")
        _check_round_trip(table, vocabulary)
        return table

    def __len__(self) -> int:
        return len(self.special)

    def __repr__(self) -> str:
        return f"TokenBytes({len(self)} ids, {int(self.special.sum())} special, dummy_prefix={self.dummy_prefix})"

    def bytes_of(self, ids: Any, *, skip_special: bool = False) -> bytes:
        """The bytes that `ids` spell; special tokens spell their name, or nothing with `skip_special`."""
        pieces = self._text_pieces if skip_special else self._pieces
        return b"".join(pieces.take(_rows(ids), mode="clip").tolist())

    def offsets(self, ids: Any, *, skip_special: bool = False) -> np.ndarray:
        """Byte offsets int64 (T+1,): token t spells `bytes_of(ids)[offsets[t]:offsets[t + 1]]`."""
        return _running_sum((self._text_widths if skip_special else self._widths).take(_rows(ids), mode="clip"))

    def text_of(self, ids: Any) -> tuple[bytes, np.ndarray, np.ndarray]:
        """Everything alignment asks of a stretch of text, special tokens spelling nothing.

        Returns:
            The bytes; their offsets int64 (T+1,); the number of white space bytes that each token starts with,
            int64 (T,), equal to its width where it is nothing else.
        """
        rows = _rows(ids)
        text = b"".join(self._text_pieces.take(rows, mode="clip").tolist())
        offsets = _running_sum(self._text_widths.take(rows, mode="clip"))
        return text, offsets, self._text_blanks.take(rows, mode="clip")

    def name_ids(self, ids: Any) -> np.ndarray:
        """Which tokens begin the same name, whatever stands around it: `" total"`, `"`total"` and `"total("` agree.

        Args:
            ids: (T,).

        Returns:
            (T,) int64: 0 where a token does not begin a word that could be a name, or holds more than one; elsewhere a
            number that two tokens share when what they hold of the word is the same. A name of several tokens is known
            by its first.
        """
        rows = _rows(ids)
        words, opens, closes = self._words
        # a token that goes on with the word before it begins none
        joined = opens.take(rows, mode="clip")
        joined[:1] = False
        joined[1:] &= closes.take(rows[:-1], mode="clip")
        return np.where(joined, 0, words.take(rows, mode="clip"))

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each row of the table: the number of its word, whether it begins and whether it ends with a letter."""
        numbers: dict[bytes, int] = {}
        found = [_WORD.fullmatch(piece) for piece in self._text_pieces]
        words = [0 if match is None else numbers.setdefault(match[1], len(numbers) + 1) for match in found]
        opens = [re.match(_LETTER, piece) is not None for piece in self._text_pieces]
        closes = [re.match(_LETTER, piece[-1:]) is not None for piece in self._text_pieces]
        return np.array(words, dtype=np.int64), np.array(opens), np.array(closes)

    def are_special(self, ids: Any) -> np.ndarray:
        """(T,) bool: which of the ids are special tokens."""
        return self._hidden.take(_rows(ids), mode="clip")


def _rows(ids: Any) -> np.ndarray:
    return np.asarray(ids, dtype=np.int64).reshape(-1) + 1


def _running_sum(widths: np.ndarray) -> np.ndarray:
    offsets = np.empty(len(widths) + 1, dtype=np.int64)
    offsets[0] = 0
    widths.cumsum(out=offsets[1:])
    return offsets


def _as_objects(pieces: list[bytes]) -> np.ndarray:
    """An object array: numpy would make one of fixed-width strings, which lose trailing NUL bytes."""
    array = np.empty(len(pieces), dtype=object)
    array[:] = pieces
    return array


# Tokenizer object -> (its size then, its table).
_tables: weakref.WeakKeyDictionary[Any, tuple[int, TokenBytes]] = weakref.WeakKeyDictionary()


def _vocabulary_size(tokenizer: Any) -> int:
    """Changes whenever tokens are added; 0 for the kinds that cannot be changed."""
    if hasattr(tokenizer, "get_vocab_size"):
        return int(tokenizer.get_vocab_size(with_added_tokens=True))
    return len(tokenizer) if hasattr(tokenizer, "__len__") else 0


def _check_round_trip(table: TokenBytes, vocabulary: Vocabulary) -> None:
    """Raises InputError unless encoding a probe and spelling its ids gives the probe back."""
    unknown = _unknown_ids(table, vocabulary)
    checked = 0
    for text in _PROBES:
        ids = vocabulary.encode(text)
        if unknown.intersection(ids):  # the vocabulary lacks a character: nothing to compare
            continue
        spelled = table.bytes_of(ids).decode("utf-8", "replace")
        spelled = spelled[1:] if table.dummy_prefix and spelled.startswith(" ") else spelled
        if spelled != text:
            raise InputError(_explain(vocabulary, text, spelled, vocabulary.decode(ids)))
        checked += 1
    if not checked:
        raise InputError(
            f"expected a tokenizer that can spell code, got one whose vocabulary ({len(table)} tokens) lacks a "
            "character of every probe text: use one with byte fallback or a byte-level alphabet"
        )


def _unknown_ids(table: TokenBytes, vocabulary: Vocabulary) -> set[int]:
    """The ids that stand for "a character I do not have", if there are such."""
    ids = vocabulary.encode(_PRIVATE_USE)
    if table.bytes_of(ids).strip() == _PRIVATE_USE.encode():
        return set()
    return {i for i in ids if table.bytes_of([i]).strip()}


def _explain(vocabulary: Vocabulary, text: str, spelled: str, decoded: str) -> str:
    shared = min(len(text), len(spelled))
    wrong = next((n for n in range(shared) if text[n] != spelled[n]), shared)
    around = slice(max(0, wrong - 8), wrong + 8)
    if spelled.strip() == decoded.strip():  # the table is right about the ids: the text was changed before
        cause = f"the text is changed by {vocabulary.changes_text or 'the pre-tokenizer or a missing alphabet'}"
    else:
        cause = f"decode() gives {decoded[around]!r}"
    return (
        f"expected a tokenizer that keeps code byte for byte, got {spelled[around]!r} for {text[around]!r} ({cause}): "
        "use a byte-level BPE or SentencePiece tokenizer made for code"
    )
