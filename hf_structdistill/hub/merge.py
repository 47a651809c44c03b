"""An adapter merged into its base model, in 16 bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = ("bfloat16", "float16", "float32")


def merge_adapter(
    folder: str | Path,
    out: str | Path,
    *,
    dtype: str = "bfloat16",
    base_model: str | None = None,
    max_shard_size: str = "5GB",
) -> Path:
    """Write the model that `folder`'s adapter makes of its base into `out`, as safetensors shards.

    The base is loaded in `dtype` whatever it was held in during training: an adapter trained on 4-bit weights has
    learnt to correct their rounding too, so outputs can differ. A base that is stored in 4 bits is dequantized.

    Raises:
        InputError: the base cannot be loaded, `dtype` is none of bfloat16, float16, float32, or the merge gave values
            that are not finite.
    """
    from peft import PeftModel
    from transformers import AutoTokenizer

    if dtype not in DTYPES:
        raise InputError(f"Expected --dtype {', '.join(DTYPES)}, found '{dtype}'.")
    folder, out = Path(folder), Path(out)
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    name = base_model or settings.get("base_model_name_or_path")
    model = _load_base(name, settings.get("revision") if base_model is None else None, dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder if (folder / "tokenizer_config.json").is_file() else name)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))  # tokens were added for training
    try:
        merged = PeftModel.from_pretrained(model, str(folder)).merge_and_unload(safe_merge=True)
    except ValueError as error:  # what safe_merge raises
        raise InputError(f"The adapter in '{folder}' cannot be merged in {dtype}: {error}") from error
    _keep_generation_config(folder, merged)
    merged.save_pretrained(out, max_shard_size=max_shard_size)
    tokenizer.save_pretrained(out)
    return out


def _load_base(name: str | None, revision: str | None, dtype: str) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if not name:
        raise InputError("The adapter does not name its base model; give it by --base-model.")
    try:
        config = AutoConfig.from_pretrained(name, revision=revision)
        model: Any = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, dtype=getattr(torch, dtype), low_cpu_mem_usage=True
        )
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The base model '{name}' of the adapter cannot be loaded ({reason}); give its place by --base-model."
        ) from error
    if getattr(config, "quantization_config", None) is not None:
        model = model.dequantize(dtype=getattr(torch, dtype)) if hasattr(model, "dequantize") else model
    return model


def _keep_generation_config(folder: Path, model: Any) -> None:
    """Generation settings saved with the adapter, where there are any."""
    from transformers import GenerationConfig

    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
