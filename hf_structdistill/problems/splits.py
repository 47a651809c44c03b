"""What the name of a split says: which of train, validation and test its problems are for."""

from __future__ import annotations

import re

# the words that `datasets` knows, the split that must not be trained on first
_WORDS = {
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "dev", "val"),
    "train": ("train", "training"),
}


def split_name(name: str) -> str:
    """The usual name of a split that is called by another word ("val", "Test"); names of one's own stay."""
    name = name.strip()
    return next((role for role, words in _WORDS.items() if name.lower() in words), name)


def split_role(name: str) -> str:
    """ "test", "validation" or "train", by the words in a name ("test-hard", "val_2"); without such a word "train"."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((role for role, known in _WORDS.items() if any(word in known for word in words)), "train")
