"""The prompts a student gets: by a recipe, as plain text or through its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..problems.problem import Problem
from .recipes import PromptRecipe, RenderedPrompt, load_recipe

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class StudentPrompt:
    """A prompt as the student gets it; `reads` and `stop` as its recipe sets them."""

    prompt: Prompt
    reads: str = "answer"
    stop: tuple[str, ...] = ()


def make_prompts(
    problems: Sequence[Problem], prompt_format: str, recipe: PromptRecipe | None = None
) -> list[StudentPrompt]:
    """One prompt a problem, as text (`"plain"`) or as a user message (`"chat"`).

    Args:
        recipe: by default the text a student is trained with.

    Raises:
        InputError: the recipe does not render, or wants code continued in a chat.
    """
    recipe = recipe or load_recipe("zero_shot")
    return [_as_given(recipe, recipe.render(problem), prompt_format) for problem in problems]


def _as_given(recipe: PromptRecipe, rendered: RenderedPrompt, prompt_format: str) -> StudentPrompt:
    if prompt_format == "plain":
        return StudentPrompt(rendered.text, rendered.reads, rendered.stop)
    if rendered.reads == "continues":
        raise InputError(
            f"Prompt recipe '{recipe.name}' lets the student continue code, which a chat message cannot; "
            "use another --prompt, or a model of this machine with --prompt-format plain."
        )
    return StudentPrompt([{"role": "user", "content": rendered.text.strip()}], rendered.reads, rendered.stop)


def choose_format(model: str, prompt_format: str, recipe_format: str | None = None) -> str:
    """Resolve `"auto"`: what the recipe or the student's card says, else chat where there is a template.

    A base model often ships a chat template that it was never tuned with, and a student keeps its base's: the card
    that training writes is the better witness.

    Raises:
        InputError: `"chat"` for a model without a chat template.
    """
    if prompt_format == "auto" and recipe_format is not None:
        prompt_format = recipe_format
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
