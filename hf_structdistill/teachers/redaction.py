"""Keeps this machine out of what is written down: its folders, and the secrets in its environment."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_SECRET_FORMS = re.compile(r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})\b")
MIN_SECRET = 8  # shorter values are settings such as "1", found in any text


def redact(text: str) -> str:
    """Replace folders of this machine by `<folder>` and secrets by `<secret>`."""
    for name, value in os.environ.items():
        if len(value) >= MIN_SECRET and _SECRET_NAMES.search(name):
            text = text.replace(value, "<secret>")
    text = _SECRET_FORMS.sub("<secret>", text)
    folders = {str(Path.cwd()), str(Path.home()), tempfile.gettempdir(), str(Path(__file__).resolve().parents[2])}
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            text = re.sub(re.escape(folder) + r"(?=[/\s'\":;,)]|$)", "<folder>", text)
    return text
