"""Base students: small models that have seen Python, in folders beside the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared"


def base_folder(name: str) -> Path:
    """The folder of a base: one of the shared models, or any folder."""
    folder = SHARED / "models" / name
    return folder if folder.is_dir() else Path(name)


def load_base(name: str, seed: int) -> tuple[Any, Any]:
    """Model in float32 and tokenizer, from a folder below the shared models or from any folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder(name)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder, padding_side="left")
