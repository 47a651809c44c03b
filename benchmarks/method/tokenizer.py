"""The tokenizer of students made from scratch: a name is the same token in the text and in the code."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 1024
END, PAD = "<|end|>", "<|pad|>"

# Blanks go to the punctuation and the keywords beside them and not to a name; indentation goes to the line break. So
# copying a name from the prompt is copying a token, and sequences are shorter than with GPT-2's pieces.
_KEYWORDS = "|".join(word for word in keyword.kwlist if word.islower())
PIECES = rf"\n *| ?\b(?:{_KEYWORDS})\b ?| ?`+ ?| ?[^\w\s`]+ ?| ?\w+|\s"


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most 1,024 tokens; merges stay within the pieces above."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left")
