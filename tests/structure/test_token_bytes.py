"""What each token id spells, for every family of tokenizers that code models use."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_families import (
    CORPUS,
    FAMILIES,
    SPECIAL,
    SPELLS_SPACES_AS_SYMBOLS,
    byte_level,
    encode,
    family,
    mistral_file,
)
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from hf_structdistill.errors import InputError
from hf_structdistill.structure import TokenBytes

CODE = [
    "def f(x):\n    return x\n",
    "\tif 漢字 == '🤖👩‍👩‍👧':\r\n\t\tpass\r\n",
    "",
    " ",
    "   leading and trailing   ",
    "a\n\n\n\nb\t\tc",
    "'é' 'e\u0301' '\u00a0' '\u2028' '…'",
    "x=1;y=-2**3//4 # don't",
]
texts = st.one_of(
    st.lists(st.sampled_from(CODE + CORPUS), max_size=4).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\u2581\x00"), max_size=30),
)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_spelling_of_encoded_text_is_the_text(name, text):
    tokenizer = family(name)
    table = TokenBytes.from_tokenizer(tokenizer)
    ids = encode(tokenizer, text)
    spelled = table.bytes_of(ids)
    if table.dummy_prefix and ids:  # RoBERTa adds the space only where there is none
        spelled = spelled.removeprefix(b" ") if len(spelled) > len(text.encode()) else spelled
    expected = unicodedata.normalize("NFC", text) if name == "qwen" else text
    assert spelled == expected.encode()


@pytest.mark.parametrize("name", FAMILIES)
def test_dummy_prefix_is_kept_and_reported(name):
    tokenizer = family(name)
    table = TokenBytes.from_tokenizer(tokenizer)
    dummy = name in {"roberta", "llama2", "metaspace", "unigram", "mistral_sentencepiece"}
    assert table.dummy_prefix == dummy
    assert table.bytes_of(encode(tokenizer, "x = 1")) == (b" x = 1" if dummy else b"x = 1")


@pytest.mark.parametrize("name", FAMILIES)
def test_offsets_cut_the_text_into_the_tokens(name):
    tokenizer = family(name)
    table = TokenBytes.from_tokenizer(tokenizer)
    ids = encode(tokenizer, "".join(CODE))
    text, offsets = table.bytes_of(ids), table.offsets(ids)
    assert offsets.dtype == np.int64 and len(offsets) == len(ids) + 1
    assert offsets[-1] == len(text)
    pieces = [text[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert pieces == [table.bytes_of([i]) for i in ids]


@pytest.mark.parametrize("name", sorted(SPELLS_SPACES_AS_SYMBOLS))
def test_sentencepiece_cannot_tell_its_symbol_from_a_space(name):
    tokenizer = family(name)
    assert TokenBytes.from_tokenizer(tokenizer).bytes_of(encode(tokenizer, "a▁b")).strip() == b"a b"


def test_special_tokens_spell_their_name_or_nothing():
    tokenizer = family("llama3")
    table = TokenBytes.from_tokenizer(tokenizer)
    end = tokenizer.token_to_id("<|im_end|>")
    ids = [*encode(tokenizer, "x"), end]
    assert table.bytes_of(ids) == b"x<|im_end|>"
    assert table.bytes_of(ids, skip_special=True) == b"x"
    assert table.offsets(ids).tolist() == [0, 1, 11]
    assert table.offsets(ids, skip_special=True).tolist() == [0, 1, 1]
    assert [i for i in range(len(table)) if table.special[i]] == [tokenizer.token_to_id(s) for s in SPECIAL]


def test_ids_outside_the_vocabulary_spell_nothing():
    table = TokenBytes.from_tokenizer(family("gpt2"))
    assert table.bytes_of([-100, -1, len(table), len(table) + 7, 2**40]) == b""
    assert table.offsets([-100, len(table)]).tolist() == [0, 0, 0]
    assert table.bytes_of([]) == b"" and table.offsets([]).tolist() == [0]


def test_a_transformers_tokenizer_gives_the_table_of_its_backend():
    from transformers import PreTrainedTokenizerFast

    backend = family("llama2")
    wrapped = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")
    table = TokenBytes.from_tokenizer(wrapped)
    ids = wrapped("def f(x):\n    return x\n", add_special_tokens=False)["input_ids"]
    assert table.bytes_of(ids) == b" def f(x):\n    return x\n"
    assert TokenBytes.from_tokenizer(wrapped) is table


def test_a_tiktoken_encoding_and_a_sentencepiece_processor():
    encoding = family("tekken")._model
    assert TokenBytes.from_tokenizer(encoding).bytes_of(encoding.encode("漢 = '🤖'\n")) == "漢 = '🤖'\n".encode()
    processor = family("mistral_sentencepiece")._model
    assert TokenBytes.from_tokenizer(processor).bytes_of(processor.encode("漢 = '🤖'\n")) == " 漢 = '🤖'\n".encode()


def test_a_slow_tokenizer_of_transformers_with_a_sentencepiece_model():
    from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

    slow = SentencePieceBackend(vocab_file=mistral_file("tokenizer.model.v1"), unk_token="<unk>")
    slow.add_tokens(["<|end é|>"], special_tokens=True)
    table = TokenBytes.from_tokenizer(slow)
    text = "def f(漢):\n\treturn '🤖'<|end é|>"
    ids = slow(text, add_special_tokens=False)["input_ids"]
    assert table.bytes_of(ids) == b" " + text.encode()
    assert table.bytes_of(ids, skip_special=True) == b" " + text.encode().removesuffix("<|end é|>".encode())


def test_added_tokens_rebuild_the_table():
    tokenizer = byte_level(size=300)
    before = TokenBytes.from_tokenizer(tokenizer)
    tokenizer.add_tokens(["<é>"])  # é is a character of the byte alphabet, where it stands for another byte
    after = TokenBytes.from_tokenizer(tokenizer)
    assert len(after) == len(before) + 1
    assert after.bytes_of([len(before)]) == "<é>".encode()


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def without_decoder() -> Tokenizer:
    tokenizer = byte_level(size=300)
    tokenizer.decoder = None
    return tokenizer


def without_alphabet() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(["abc"], trainers.BpeTrainer(show_progress=False))
    return tokenizer


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (word_piece, "WordPiece"),
        (without_decoder, "decoder"),
        (without_alphabet, "missing alphabet"),
        (lambda: byte_level(normalizer=normalizers.Lowercase()), "Lowercase"),
        (lambda: byte_level(normalizer=normalizers.NFKC()), "NFKC"),
        (lambda: byte_level(normalizer=normalizers.Replace(Regex(r"\s+"), " ")), "Replace"),
        (
            lambda: byte_level(normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])),
            "StripAccents",
        ),
        (lambda: object(), "AutoTokenizer"),
    ],
)
def test_tokenizers_that_do_not_keep_code_are_refused(make, says):
    with pytest.raises(InputError, match=says) as error:
        TokenBytes.from_tokenizer(make())
    assert "\n" not in str(error.value)
    assert "expected" in str(error.value) and "got" in str(error.value)
