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
    recorded = recorded_format(model)
    if prompt_format == "auto" and recorded is not None:
        return recorded
    has_template = _has_chat_template(model)
    if prompt_format == "chat" and not has_template:
        raise InputError(f"'{model}' has no chat template; use --prompt-format plain.")
    return "chat" if has_template else "plain"


def recorded_format(model: str) -> str | None:
    """The prompt format in the metadata of the student's card, in its folder or on the Hub; None where none is."""
    import yaml
    from huggingface_hub import hf_hub_download, metadata_load
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    card = Path(model) / "README.md"
    try:
        if not Path(model).is_dir():
            card = Path(hf_hub_download(model, "README.md"))
        recorded = (metadata_load(card) or {}).get("structdistill") if card.is_file() else None
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, yaml.YAMLError):
        return None  # no card, no network, or somebody else's README: the tokenizer decides
    found = recorded.get("prompt_format") if isinstance(recorded, dict) else None
    return found if found in ("plain", "chat") else None


def _has_chat_template(model: str) -> bool:
    from .generate import load_tokenizer_of

    return bool(getattr(load_tokenizer_of(model), "chat_template", None))
