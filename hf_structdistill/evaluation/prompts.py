"""Whether a student gets its prompt as plain text or through its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..problems.problem import Problem
from ..problems.prompting import student_prompt

Prompt = str | list[dict[str, str]]


def make_prompts(problems: Sequence[Problem], prompt_format: str) -> list[Prompt]:
    """One prompt a problem: the text a student was trained with, as a string or as a user message."""
    texts = [student_prompt(problem) for problem in problems]
    if prompt_format == "plain":
        return list(texts)
    return [[{"role": "user", "content": text.strip()}] for text in texts]


def choose_format(model: str, prompt_format: str) -> str:
    """Resolve `"auto"`: what the student's card says, else chat where the tokenizer has a template.

    A base model often ships a chat template that it was never tuned with, and a student keeps its base's: the card
    that training writes is the better witness.

    Raises:
        InputError: `"chat"` for a model without a chat template.
    """
    if prompt_format == "plain":
        return "plain"
    recorded = recorded_format(Path(model))
    if prompt_format == "auto" and recorded is not None:
        return recorded
    has_template = _has_chat_template(model)
    if prompt_format == "chat" and not has_template:
        raise InputError(f"'{model}' has no chat template; use --prompt-format plain.")
    return "chat" if has_template else "plain"


def recorded_format(folder: Path) -> str | None:
    """The prompt format in the metadata of the student's card, where there is one."""
    from huggingface_hub import ModelCard

    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        recorded = ModelCard.load(card, ignore_metadata_errors=True).data.get("structdistill")
    except ValueError:  # somebody else's README
        return None
    found = recorded.get("prompt_format") if isinstance(recorded, dict) else None
    return found if found in ("plain", "chat") else None


def _has_chat_template(model: str) -> bool:
    from .generate import load_tokenizer_of

    return bool(getattr(load_tokenizer_of(model), "chat_template", None))
