"""Completions of a student: length-sorted batches through `model.generate`, left padded, with the KV cache."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    StoppingCriteriaList,
)

from ..errors import InputError
from .completion import Completion, cut_at
from .endings import Ending, Endings, decode, open_fence
from .prompts import Prompt

logger = logging.getLogger(__name__)


def load_student(
    model: Any, tokenizer: Any = None, *, load_in_4bit: bool = False, device: str | None = None
) -> tuple[Any, Any]:
    """Load a student and its tokenizer: a Hub id, a folder, an adapter folder, or an object as it is.

    Args:
        model: name on the Hub, folder of a model or of a PEFT adapter, or a loaded model.
        tokenizer: name, folder or object; None takes the model's own (an adapter without one: its base's).
        load_in_4bit: NF4 through bitsandbytes, on a GPU or on the CPU.
        device: `"cpu"`, `"cuda"`, …; None takes the GPU where there is one.

    Raises:
        InputError: the folder does not exist or holds no model, or the Hub has no such model.
    """
    name = model if isinstance(model, str) else str(model) if isinstance(model, Path) else None
    if name is None:
        if tokenizer is None:
            raise InputError(f"A loaded {type(model).__name__} needs its tokenizer: pass tokenizer=…")
        return model, _load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
    check_model_folder(name)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    options: dict[str, Any] = {"dtype": torch.float32 if device == "cpu" else "auto"}
    if load_in_4bit:
        options["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        options["device_map"] = {"": device}
    is_adapter = (Path(name) / "adapter_config.json").is_file()
    try:
        loaded = _auto_class(is_adapter).from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"No model could be loaded from '{name}': {_first_line(error)}") from error
    if not load_in_4bit:
        loaded = loaded.to(device)
    loaded.eval()
    if tokenizer is None:
        return loaded, load_tokenizer_of(name)
    return loaded, _load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer


def load_tokenizer_of(name: str) -> Any:
    """The tokenizer of a model by name or folder; an adapter folder without one uses its base's."""
    settings = Path(name) / "adapter_config.json"
    if settings.is_file() and not (Path(name) / "tokenizer_config.json").is_file():
        name = json.loads(settings.read_text(encoding="utf-8"))["base_model_name_or_path"]
    return _load_tokenizer(name)


def check_model_folder(name: str) -> None:
    """Refuse a path that is no folder, or a folder without a model, before anything slow starts."""
    path = Path(name)
    if path.is_dir():
        if not any((path / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise InputError(
                f"Model folder '{name}' holds neither config.json nor adapter_config.json; "
                "give the folder that save_model() wrote, or a checkpoint-… folder inside it."
            )
    elif path.is_absolute() or name.startswith((".", "~")) or name.endswith("/") or name.count("/") > 1:
        raise InputError(f"Model folder '{name}' does not exist; give a folder with config.json or a Hub id.")


def generate_completions(
    model: Any,
    tokenizer: Any = None,
    prompts: Sequence[Prompt] = (),
    *,
    max_new_tokens: int = 512,
    batch_size: int = 16,
    temperature: float = 0.0,
    top_p: float = 1.0,
    num_samples: int = 1,
    seed: int = 0,
    stop_after_fence: bool = True,
    stop: Sequence[str] = (),
    load_in_4bit: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[str] | list[list[str]]:
    """Complete every prompt; the text that comes back has neither the prompt nor special tokens.

    Args:
        model, tokenizer: see [`load_student`].
        prompts: plain strings, or lists of chat messages, which go through the tokenizer's chat template.
        max_new_tokens: at most so many tokens a completion (less where the model's context ends earlier).
        temperature: 0 is greedy; above 0 samples, with `top_p`.
        num_samples: completions a prompt; above 1 needs a temperature.
        stop_after_fence: end a completion at the line that closes its first fenced block.
        stop: strings that end a completion; they are cut off.
        progress: called after each batch with the number of completions so far.

    Returns:
        one string a prompt in the order of the prompts, or a list of `num_samples` strings each when that is above 1.
    """
    if num_samples > 1 and temperature <= 0:
        raise InputError(f"num_samples={num_samples} greedy completions are all the same; set a temperature above 0.")
    model, tokenizer = load_student(model, tokenizer, load_in_4bit=load_in_4bit)
    repeated = [prompt for prompt in prompts for _ in range(num_samples)]
    texts = [""] * len(repeated)
    done = 0
    endings = [Ending(stop_after_fence, tuple(stop))] * len(repeated)
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "seed": seed}
    limits = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    for batch in iterate_completions(model, tokenizer, repeated, endings=endings, **limits, **sampling):
        for completion in batch:
            texts[completion.index] = completion.text
        done += len(batch)
        if progress is not None:
            progress(done)
    if num_samples == 1:
        return texts
    return [texts[start : start + num_samples] for start in range(0, len(texts), num_samples)]


def iterate_completions(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    batch_size: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    made: int = 0,
    endings: Sequence[Ending] | None = None,
) -> Iterator[list[Completion]]:
    """Yield finished batches, longest prompts first, so that memory runs out at once or not at all.

    Args:
        made: completions of an earlier run that this one adds to. Every batch draws its own numbers, told by `seed`
            and how many completions there were before it: what is added repeats none, and what is continued ends as
            if it had never stopped.
    """
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    endings = endings or [Ending()] * len(prompts)
    room = context_length(model)
    fitting = [i for i, ids in enumerate(encoded) if len(ids) < room]
    if len(fitting) < len(encoded):
        too_long = [Completion(i, "", 0, "length") for i, ids in enumerate(encoded) if len(ids) >= room]
        logger.warning(
            "%d prompts fill the model's context of %d tokens; their completions are empty", len(too_long), room
        )
        yield too_long
        made += len(too_long)
    order = sorted(fitting, key=lambda i: (-len(encoded[i]), i))
    config = _generation_config(model, tokenizer, temperature, top_p)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        longest = len(encoded[batch[0]])
        config.max_new_tokens = min(max_new_tokens, room - longest)
        torch.manual_seed(_batch_seed(seed, made + start))
        began = time.perf_counter()
        rows = _generate_batch(model, tokenizer, [encoded[i] for i in batch], config, [endings[i] for i in batch])
        seconds = (time.perf_counter() - began) / len(batch)
        yield [
            Completion(i, cut_at(decode(tokenizer, ids), endings[i].stop), len(ids), reason, seconds)
            for i, (ids, reason) in zip(batch, rows, strict=True)
        ]


def _batch_seed(seed: int, before: int) -> int:
    """Of the draws of a batch with so many completions before it; a sum would give seed 1 the draws of seed 0."""
    return random.Random(f"{seed}/{before}").getrandbits(63)


def _generate_batch(
    model: Any, tokenizer: Any, prompts: list[list[int]], config: GenerationConfig, endings: list[Ending]
) -> list[tuple[list[int], str]]:
    """Return the new token ids of each row, cut before its end-of-sequence token, and why they ended."""
    width = len(prompts[0])
    pad = config.pad_token_id
    input_ids = torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts], device=model.device)
    attention_mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
    open_fences = [open_fence(decode(tokenizer, ids)) for ids in prompts]
    watch = Endings(tokenizer, endings, open_fences, width)
    with torch.inference_mode():
        output = model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([watch]),
        )
    ends = {*(config.eos_token_id or ()), pad}
    found = []
    for row, done in zip(output, watch.done, strict=True):
        ids = row[width:].tolist()
        kept = _until(ids, ends)
        found.append((kept, "stop" if done or len(kept) < len(ids) else "length"))
    return found


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt as it stands before a completion: chat messages through the template, text as it is.

    Training tokenizes prompt and completion together, and GPT-2's pre-tokenizer cuts white space that something
    follows in another way than white space at the end: "\\n\\n" is one token alone and two before "1.". A student
    that gets the former has never seen it. So the text is encoded with a letter behind it, which is then cut off.
    """
    options = {}
    if not isinstance(prompt, str):
        if not getattr(tokenizer, "chat_template", None):
            raise InputError("The prompts are chat messages but the tokenizer has no chat template; use plain text.")
        prompt = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        options["add_special_tokens"] = False  # the template has written them
    alone = list(tokenizer(prompt, **options)["input_ids"])
    if not prompt[-1:].isspace():
        return alone
    before = list(tokenizer(prompt + "x", **options)["input_ids"])[:-1]
    same_text = decode(tokenizer, before) == decode(tokenizer, alone)  # " " before "x" melts into one token
    return before if same_text else alone


def _generation_config(model: Any, tokenizer: Any, temperature: float, top_p: float) -> GenerationConfig:
    ends = {tokenizer.eos_token_id}
    own = getattr(model, "generation_config", None)
    if own is not None and own.eos_token_id is not None:  # chat models list their end-of-turn token here
        ends.update(own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id])
    ends.discard(None)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(ends), 0)
    # generate() fills whatever is None here from the model's own generation config, and chat models ship one that
    # samples and penalises repetition: say everything, or "greedy" is not.
    config = GenerationConfig(
        do_sample=temperature > 0,
        temperature=temperature if temperature > 0 else 1.0,
        top_p=top_p if temperature > 0 else 1.0,
        top_k=0 if temperature > 0 else 50,  # 50 is the library's default, unused and unremarked when greedy
        typical_p=1.0,
        epsilon_cutoff=0.0,
        eta_cutoff=0.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        num_beams=1,
        min_length=0,
        eos_token_id=sorted(ends) or None,
        pad_token_id=pad,
        use_cache=True,
    )
    if model.device.type == "cpu" and getattr(model, "_can_compile_fullgraph", False):
        # A growing cache is copied at every step: a third of the time on a CPU. (On a GPU "static" also compiles.)
        config.cache_implementation = "static"
    return config


def _until(ids: list[int], ends: set[int]) -> list[int]:
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]


def context_length(model: Any) -> int:
    """The longest sequence the model takes, in tokens."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    return getattr(config, "max_position_embeddings", None) or 1 << 30


def _auto_class(is_adapter: bool) -> Any:
    if not is_adapter:
        return AutoModelForCausalLM
    from peft import AutoPeftModelForCausalLM

    return AutoPeftModelForCausalLM


def _load_tokenizer(name: str | Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError) as error:
        raise InputError(f"No tokenizer could be loaded from '{name}': {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
