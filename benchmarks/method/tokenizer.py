"""The tokenizer of students made from scratch: a name is the same token in the text and in the code."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_structdistill.cli import _demo_student

# Blanks go to the punctuation and the keywords beside them and not to a name; indentation goes to the line break. So
# copying a name from the prompt is copying a token, and sequences are shorter than with GPT-2's pieces.
_KEYWORDS = "|".join(word for word in keyword.kwlist if word.islower())
PIECES = rf"\n *| ?\b(?:{_KEYWORDS})\b ?| ?`+ ?| ?[^\w\s`]+ ?| ?\w+|\s"


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """The demo's tokenizer (byte-level BPE, at most 1,024 tokens), whose merges stay within the pieces above."""
    return _demo_student.train_tokenizer(
        texts,
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PIECES), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    )
