"""One tokenizer of each family in use, trained on a few lines or read from the mistral-common package."""

import json
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

CORPUS = [
    "def total(values):",
    "    result = 0",
    "    for value in values:",
    "        result += value  # ajouter, 合計",
    "    return result",
    "class Stack(list):",
    '    """A stack."""',
    "    def push(self, item): self.append(item)",
    "if __name__ == '__main__':",
    "    print(total([1, 2, 3]), 'é', \"ü\")",
    "while x < y and not done: x, y = y, x % 10",
    "Here is the code. It adds the numbers one after another, then returns the sum.",
] * 4

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_end|>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def byte_level(pattern: str | None = None, *, prefix: bool = False, normalizer=None, size: int = 500) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if pattern is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    else:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(["\n".join(CORPUS)], trainer)
    return tokenizer


def with_byte_pieces(tokenizer: Tokenizer) -> Tokenizer:
    """Byte pieces are ordinary vocabulary in SentencePiece models; the trainers only add them as special tokens."""
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in BYTES]
    state["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(state))


def llama2() -> Tokenizer:
    """Spaces by the normalizer, a dummy space in front, no pre-tokenizer, newlines and emoji as bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[*SPECIAL, *BYTES], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return with_byte_pieces(tokenizer)


def metaspace() -> Tokenizer:
    """What transformers 5 makes of a SentencePiece BPE: a Metaspace pre-tokenizer, one dummy space at the start."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[*SPECIAL, *BYTES], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return with_byte_pieces(tokenizer)


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=[*SPECIAL, *BYTES], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return with_byte_pieces(tokenizer)


def gemma() -> Tokenizer:
    """SentencePiece without a dummy space, and with tokens for runs of spaces."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[*SPECIAL, *BYTES], show_progress=False)
    tokenizer.train_from_iterator(["\n".join(CORPUS)], trainer)
    tokenizer = with_byte_pieces(tokenizer)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False) for n in (4, 8)])
    return tokenizer


def mistral_file(name: str) -> str:
    import mistral_common

    return str(Path(mistral_common.__file__).parent / "data" / name)


def mistral_sentencepiece():
    from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

    return SentencePieceTokenizer(mistral_file("mistral_instruct_tokenizer_240323.model.v3"))


def tekken():
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return Tekkenizer.from_file(mistral_file("tekken_240911.json"))


_MAKERS = {
    "gpt2": byte_level,
    "roberta": lambda: byte_level(prefix=True),
    "llama3": lambda: byte_level(LLAMA3),
    "qwen": lambda: byte_level(QWEN, normalizer=normalizers.NFC()),
    "llama2": llama2,
    "metaspace": metaspace,
    "unigram": unigram,
    "gemma": gemma,
    "mistral_sentencepiece": mistral_sentencepiece,
    "tekken": tekken,
}
FAMILIES = list(_MAKERS)
SPELLS_SPACES_AS_SYMBOLS = {"llama2", "metaspace", "unigram", "gemma", "mistral_sentencepiece"}


@cache
def family(name: str):
    """The tokenizer of a family, made once a process."""
    return _MAKERS[name]()


def encode(tokenizer, text: str) -> list[int]:
    if isinstance(tokenizer, Tokenizer):
        return tokenizer.encode(text, add_special_tokens=False).ids
    return tokenizer.encode(text, bos=False, eos=False)
