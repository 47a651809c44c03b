"""What an assistant's message says: servers send text and thoughts as strings, or in typed parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

THINKING = ("thinking", "reasoning")  # types of parts: Mistral's and Anthropic's, Databricks'
HOLDERS = ("text", "thinking", "summary", "content")  # of a part's text, which may be in parts again


def read_message(message: Any) -> tuple[str, str | None]:
    """The text, and the thoughts that stand beside it: in parts of the content, or in a field of either name.

    Raises:
        ValueError: something that is neither text nor parts of it.
    """
    if not isinstance(message, (Mapping, type(None))):
        raise ValueError(f"a message was expected, {type(message).__name__} was found")
    message = message or {}
    content = message.get("content")
    texts: list[Any] = []
    thoughts = [message.get("reasoning_content") or message.get("reasoning")]
    for part in content if isinstance(content, list) else [content]:
        thinks = isinstance(part, Mapping) and part.get("type") in THINKING
        (thoughts if thinks else texts).append(part)
    return _plain(texts), _plain(thoughts) or None


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if isinstance(value, Mapping):
        return _plain(next((value[name] for name in HOLDERS if value.get(name)), None))
    raise ValueError(f"text was expected, {type(value).__name__} was found")
