"""A teacher on this machine: a transformers model, asked in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..model_names import model_fingerprint
from ..problems import Problem
from .base import Answer, Reply, Request
from .recipes import RecipeBook
from .trace import Trace

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TransformersTeacher:
    """Generates with a causal language model; loads it when first asked.

    Args:
        model: Hub id or folder.
        label: how requests and cards name it; by default the model, or its last part where it is a folder.
        revision: of the Hub. That of a folder is a hash over its configuration and weights.
        recipes, recipe_folder, temperatures, top_p, max_tokens, seed: as in `InferenceTeacher`. Temperature 0 is
            greedy and the same in any batch; other samples depend on what is generated with them.
        batch_size: prompts generated together.
        device_map, dtype: as `from_pretrained` takes them.

    A prompt is given through the tokenizer's chat template where it has one, as plain text otherwise.
    """

    def __init__(
        self,
        model: str,
        *,
        label: str | None = None,
        revision: str | None = None,
        recipes: Sequence[str] = ("forward",),
        recipe_folder: Path | None = None,
        temperatures: Sequence[float] = (0.2,),
        top_p: float | None = None,
        max_tokens: int = 2048,
        seed: int = 0,
        batch_size: int = 8,
        device_map: Any = "auto",
        dtype: Any = "auto",
    ) -> None:
        self.model, self.revision = model, revision
        if Path(model).is_dir():
            label, revision = label or Path(model).resolve().name, f"folder:{model_fingerprint(model)}"
        self.book = RecipeBook(
            label or model, revision, tuple(recipes), recipe_folder, tuple(temperatures), top_p, max_tokens, seed
        )
        self.batch_size, self.device_map, self.dtype = batch_size, device_map, dtype
        self._loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None

    def requests(self, problem: Problem) -> Sequence[Request]:
        return self.book.requests(problem)

    def follow_up(self, problem: Problem, traces: Sequence[Trace]) -> Sequence[Request]:
        return self.book.follow_up(problem, traces)

    def resume(self, answered: Iterable[Answer]) -> None:
        """Nothing is spent here."""

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[list[Answer]]:
        # one batch has one sampling; prompts of similar length waste little padding
        waiting = sorted((request for request, _ in requests), key=_alike)
        start = 0
        while start < len(waiting):
            sampling = waiting[start].sampling
            end = start + 1
            while end < len(waiting) and end - start < self.batch_size and waiting[end].sampling == sampling:
                end += 1
            batch = waiting[start:end]
            yield list(zip(batch, self._generate(batch), strict=True))
            start = end

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if self._loaded is None:
            from transformers import AutoModelForCausalLM, AutoTokenizer

            where = {"revision": self.revision} if self.revision else {}
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.model, padding_side="left", **where)
                model = AutoModelForCausalLM.from_pretrained(
                    self.model, device_map=self.device_map, dtype=self.dtype, **where
                )
            except (OSError, ValueError) as error:
                said = " ".join(str(error).split())[:300]
                raise InputError(f"Expected a causal language model at '{self.model}', found: {said}") from None
            if tokenizer.pad_token is None:
                tokenizer.pad_token = tokenizer.eos_token
            self._loaded = model.eval(), tokenizer
        return self._loaded

    def _generate(self, batch: Sequence[Request]) -> list[Reply]:
        import torch

        model, tokenizer = self._load()
        inputs = tokenizer(
            [self._prompt(tokenizer, request) for request in batch],
            return_tensors="pt",
            padding=True,
            add_special_tokens=tokenizer.chat_template is None,
        ).to(model.device)
        sampling = batch[0].sampling
        torch.manual_seed(int(batch[0].key[:8], 16))  # the key holds the seed
        warm = sampling["temperature"] > 0
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=sampling["max_tokens"],
                do_sample=warm,
                temperature=sampling["temperature"] if warm else None,
                top_p=sampling.get("top_p") if warm else None,
                top_k=0 if warm else None,
                pad_token_id=tokenizer.pad_token_id,
            )
        width = inputs["input_ids"].shape[1]
        ends = _ends(model)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [_reply(tokenizer, row[width:].tolist(), ends, n) for row, n in zip(output, lengths, strict=True)]

    @staticmethod
    def _prompt(tokenizer: PreTrainedTokenizerBase, request: Request) -> str:
        messages = [dict(message) for message in request.messages]
        if tokenizer.chat_template is None:
            return messages[-1]["content"] + "\n\n"
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def _alike(request: Request) -> tuple[str, int, str]:
    return str(sorted(request.sampling.items())), len(request.messages[-1]["content"]), request.problem_id


def _ends(model: PreTrainedModel) -> set[int]:
    ends = model.generation_config.eos_token_id if model.generation_config is not None else None
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)


def _reply(tokenizer: PreTrainedTokenizerBase, tokens: list[int], ends: set[int], prompt_tokens: int) -> Reply:
    """Cut at the first end token; without one the reply ran into its limit."""
    end = next((index for index, token in enumerate(tokens) if token in ends), None)
    text = tokenizer.decode(tokens if end is None else tokens[:end], skip_special_tokens=True)
    return Reply(
        text,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(tokens) if end is None else end + 1,
        finish_reason="length" if end is None else "stop",
    )
