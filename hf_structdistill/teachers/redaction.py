"""Keeps this machine out of what is written down: its folders, and the secrets in its environment."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_SECRET_FORMS = re.compile(r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})\b")
_PACKAGE = str(Path(__file__).resolve().parents[2])
MIN_SECRET = 8  # shorter values are settings such as "1", found in any text


def redactor(*, content: bool = False) -> Callable[[Any], Any]:
    """`redact` for many values: folders and environment are looked at once. In lists and dicts all strings count.

    Args:
        content: of prompts, replies and code, where "/tmp" and "/root" may be what the text is about: only folders of
            two names or more, such as "/home/me", and not the temporary one.
    """
    secrets = [v for name, v in os.environ.items() if len(v) >= MIN_SECRET and _SECRET_NAMES.search(name)]
    folders = {str(Path.cwd()), str(Path.home()), _PACKAGE}
    folders = {folder for folder in folders if folder.count("/") > 1} if content else {*folders, tempfile.gettempdir()}
    patterns = {
        folder: re.compile(r"(?<![\w.-])" + re.escape(folder) + r"(?![\w-])")
        for folder in sorted(folders, key=len, reverse=True)
        if len(folder) > 1
    }

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return clean_text(value)
        if isinstance(value, Mapping):
            return {key: clean(item) for key, item in value.items()}
        return [clean(item) for item in value] if isinstance(value, list | tuple) else value

    def clean_text(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "<secret>")
        if "hf_" in text or "sk-" in text:  # a search for plain text is much faster, and most texts hold neither
            text = _SECRET_FORMS.sub("<secret>", text)
        for folder, pattern in patterns.items():
            if folder in text:
                text = pattern.sub("<folder>", text)
        return text

    return clean


def redact(text: str) -> str:
    """Replace folders of this machine by `<folder>` and secrets by `<secret>`."""
    return redactor()(text)
