"""What a card says about a training: its settings, objectives and weights, without paths and secrets."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any

# Where things lie and what opens doors are no hyper-parameters.
_PRIVATE = re.compile(
    r"(_dir|_path|_file|token|_key)$|^(run_name|report_to|project)$|hub_|trackio|logging_|push_to|disable_"
)
_DERIVED = ("dataloader_pin_memory", "pad_to_multiple_of")  # TrainingArguments sets them by the hardware


def changed_settings(args: Any) -> dict[str, Any]:
    """Fields of training arguments that differ from the declared defaults; paths, tokens and logging left out.

    The declarations are read rather than a fresh instance: making TrainingArguments resets accelerate's state, which
    breaks a training that is under way, and fails where the hardware lacks bf16. A value that the library derived
    where nothing was declared (default None) is no setting; the fields of StructureAwareConfig itself are not derived.
    """
    from ..training_args import StructureAwareConfig

    changed, own = {}, inspect.get_annotations(StructureAwareConfig)
    for field in dataclasses.fields(args):
        value = _plain(getattr(args, field.name, None))
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        declared = _plain(default) is not None or field.name in ("bf16", "fp16", "max_length") or field.name in own
        if not declared or value == _plain(default) or field.name in _DERIVED or _PRIVATE.search(field.name):
            continue
        if value is None or isinstance(value, bool | int | float | str):
            changed[field.name] = value
    return changed


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)  # enumerations


def describe_quantization(config: Any) -> str | None:
    """What a model's configuration says its weights are held in: "4-bit (nf4)", "8-bit"; None for 16 or 32 bits."""
    found = getattr(config, "quantization_config", None)
    if found is None:
        return None
    settings = found if isinstance(found, Mapping) else found.to_dict()
    if settings.get("load_in_4bit") or settings.get("_load_in_4bit"):
        return f"4-bit ({settings.get('bnb_4bit_quant_type', 'fp4')})"
    if settings.get("load_in_8bit") or settings.get("_load_in_8bit"):
        return "8-bit"
    return str(getattr(settings.get("quant_method"), "value", settings.get("quant_method")))


def describe_objective(objective: Any) -> dict[str, Any]:
    if isinstance(objective, Mapping):
        if "settings" in objective:
            return dict(objective)  # described before
        name, citation, config = objective["name"], objective.get("citation"), objective.get("config") or {}
    else:
        name, citation = objective.name, getattr(objective, "citation", None)
        config = objective.get_config_dict() if hasattr(objective, "get_config_dict") else {}
    settings = ", ".join(f"{key} {value}" for key, value in presentable(config).items())
    return {"name": str(name), "citation": citation, "settings": settings}


def presentable(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, without paths of this machine and without anything that looks like a token."""
    shown = {}
    for key, value in settings.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if not re.search(r"(^|[\s'\"])(/|~/|[A-Za-z]:\\)|\bhf_[A-Za-z0-9]{20,}", text):
            shown[str(key)] = text.replace("|", "\\|").replace("\n", " ")
    return shown
