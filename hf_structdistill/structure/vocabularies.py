"""The bytes that each token of a vocabulary stands for, read from whichever object holds the vocabulary.

One reader a family, chosen by what the object can do and not by its class, so that no tokenizer library is imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

SPACE_SYMBOL = "▁"  # U+2581, how SentencePiece writes a space


@dataclass(frozen=True)
class Vocabulary:
    """What a reader found: `pieces[i]` are the bytes of token i (b"" for ids that do not exist)."""

    pieces: list[bytes]
    special: frozenset[int]
    """Control tokens: never part of the text that a model writes."""
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]
    changes_text: str
    """Steps of the tokenizer that may rewrite text before it is cut, by name; for error messages."""


def read_vocabulary(tokenizer: Any) -> Vocabulary:
    """The vocabulary of a tokenizer object, whatever library it comes from.

    Understood: `tokenizers.Tokenizer` and everything of transformers that wraps one (`backend_tokenizer`), slow
    SentencePiece tokenizers of transformers (`sp_model`), `sentencepiece.SentencePieceProcessor`, `tiktoken.Encoding`,
    and the tokenizers of mistral-common, bare or inside transformers. Raises InputError for anything else.
    """
    for unwrap in ("backend_tokenizer", "sp_model", "instruct_tokenizer", "tokenizer"):
        inner = getattr(tokenizer, unwrap, None)
        if inner is not None and not callable(inner):
            return _with_added_tokens(read_vocabulary(inner), tokenizer)
    if hasattr(tokenizer, "to_str") and hasattr(tokenizer, "get_added_tokens_decoder"):
        return _read_tokenizers(tokenizer)
    if hasattr(tokenizer, "id_to_byte_piece"):
        return _read_tekken(tokenizer)
    if hasattr(tokenizer, "decode_single_token_bytes"):
        return _read_tiktoken(tokenizer)
    if hasattr(tokenizer, "is_byte") and hasattr(tokenizer, "id_to_piece") and hasattr(tokenizer, "is_control"):
        return _read_sentencepiece(tokenizer)
    if hasattr(getattr(tokenizer, "_model", None), "id_to_piece"):  # mistral-common keeps the processor there
        return _read_sentencepiece(tokenizer._model)
    raise InputError(
        "expected a fast tokenizer of transformers, a tokenizers.Tokenizer, or a tokenizer of SentencePiece, tiktoken "
        f"or mistral-common, got {type(tokenizer).__name__}: load it with AutoTokenizer.from_pretrained(...)"
    )


def _read_tokenizers(tokenizer: Any) -> Vocabulary:
    spell = _piece_speller(tokenizer)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    added = tokenizer.get_added_tokens_decoder()
    pieces = [b""] * (1 + max([*ids.values(), *added], default=-1))
    for piece, i in ids.items():
        pieces[i] = spell(piece)
    for i, token in added.items():
        pieces[i] = token.content.encode()
    return Vocabulary(
        pieces=pieces,
        special=frozenset(i for i, token in added.items() if token.special),
        encode=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        decode=lambda ids: tokenizer.decode(ids, skip_special_tokens=False),
        changes_text=_describe_normalizer(tokenizer),
    )


def _read_tekken(tokenizer: Any) -> Vocabulary:
    special = frozenset(tokenizer.special_ids)
    names = {i: tokenizer.id_to_piece(i).encode() for i in special}
    return Vocabulary(
        pieces=[names[i] if i in special else tokenizer.id_to_byte_piece(i) for i in range(tokenizer.n_words)],
        special=special,
        encode=lambda text: tokenizer.encode(text, bos=False, eos=False),
        decode=tokenizer.decode,
        changes_text="",
    )


def _read_tiktoken(encoding: Any) -> Vocabulary:
    special = {encoding.encode_single_token(name): name for name in encoding.special_tokens_set}
    pieces = [b""] * encoding.n_vocab
    for piece in encoding.token_byte_values():
        pieces[encoding.encode_single_token(piece)] = piece
    for i, name in special.items():
        pieces[i] = name.encode()
    return Vocabulary(pieces, frozenset(special), encoding.encode_ordinary, encoding.decode, "")


def _read_sentencepiece(processor: Any) -> Vocabulary:
    size = processor.get_piece_size()
    pieces = []
    for i in range(size):
        piece = processor.id_to_piece(i)
        if processor.is_byte(i):
            pieces.append(bytes([int(piece[3:5], 16)]))
        else:
            pieces.append(piece.replace(SPACE_SYMBOL, " ").encode())
    special = frozenset(i for i in range(size) if processor.is_control(i))
    return Vocabulary(pieces, special, processor.encode, processor.decode, "the model's own normalization rule")


def _with_added_tokens(inner: Vocabulary, wrapper: Any) -> Vocabulary:
    """`inner` plus the tokens that a slow wrapper adds by itself; a fast one has them in its backend already."""
    added = getattr(wrapper, "added_tokens_decoder", None)
    if not isinstance(added, dict):
        return inner
    pieces = inner.pieces + [b""] * (1 + max(added, default=-1) - len(inner.pieces))
    for i, token in added.items():
        pieces[i] = str(token).encode()
    special = inner.special | {i for i, token in added.items() if token.special}
    return Vocabulary(pieces, special, inner.encode, inner.decode, inner.changes_text)


def _piece_speller(tokenizer: Any) -> Callable[[str], bytes]:
    """How the decoder of a `tokenizers.Tokenizer` spells one token, as bytes."""
    steps = _flatten_steps(_state(tokenizer.decoder), "decoders")
    if not steps:
        raise InputError(
            "expected a tokenizer with a decoder, got one without: its tokens do not say where spaces were; "
            "set tokenizer.decoder (ByteLevel, Metaspace)"
        )
    replacements: list[tuple[str, str]] = []
    byte_level = byte_fallback = False
    for step in steps:
        kind = step["type"]
        if kind == "ByteLevel":
            byte_level = True
        elif kind == "ByteFallback":
            byte_fallback = True
        elif kind == "Metaspace":
            replacements.append((step["replacement"], " "))
        elif kind == "Replace" and "String" in step["pattern"]:
            replacements.append((step["pattern"]["String"], step["content"]))
        elif kind not in ("Fuse", "Strip"):  # these two act on the joined text: its dummy space, see TokenBytes
            raise InputError(
                f"expected a byte-level BPE or SentencePiece tokenizer, got one with the decoder {kind!r} "
                f"({type(tokenizer.model).__name__} model), which does not keep the text byte for byte: "
                "structure needs a tokenizer whose tokens spell the code exactly"
            )
    if byte_level:
        return _spell_byte_level
    return lambda piece: _spell_sentencepiece(piece, replacements, byte_fallback)


def _spell_byte_level(piece: str) -> bytes:
    try:
        return bytes(map(_BYTE_OF_CHARACTER.__getitem__, piece))
    except KeyError:  # not written in the byte alphabet: literal text
        return piece.encode()


def _spell_sentencepiece(piece: str, replacements: Iterable[tuple[str, str]], byte_fallback: bool) -> bytes:
    if byte_fallback and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes([int(piece[3:5], 16)])
        except ValueError:  # a piece that only looks like a byte
            pass
    for old, new in replacements:
        piece = piece.replace(old, new)
    return piece.encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's map: printable Latin-1 characters stand for themselves, the other bytes for U+0100 and up, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_alphabet()


def _state(component: Any) -> dict[str, Any]:
    """A tokenizers component as the JSON that it pickles to, which is cheap: the vocabulary is not in it."""
    return json.loads(component.__getstate__()) if component is not None else {}


def _flatten_steps(state: dict[str, Any], key: str) -> list[dict[str, Any]]:
    if not state:
        return []
    if state["type"] != "Sequence":
        return [state]
    return [step for inner in state[key] for step in _flatten_steps(inner, key)]


def _describe_normalizer(tokenizer: Any) -> str:
    names = [step["type"] for step in _flatten_steps(_state(tokenizer.normalizer), "normalizers")]
    return f"the normalizer ({', '.join(names)})" if names else ""
