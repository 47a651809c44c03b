"""Generated problems, and students trained on them from scratch: study 1 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_structdistill.problems import Problem, load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

from .bases import load_base
from .tokenizer import train_tokenizer

HEAD_WIDTH = 16  # many narrow heads: copying names from the prompt is learned in fewer steps


@dataclass(frozen=True)
class Generated:
    """Generated problems, and a small Qwen3 of narrow heads, trained from scratch.

    The student and the length of its training were found on the validation split with SFTTrainer alone, so that plain
    fine-tuning lands between 20% and 80%. What mattered most: norms of queries and keys (Qwen3) and weights drawn
    wider than the default 0.02, without which copying from the prompt is learned several times later.

    Attributes:
        problems: a family or "generated" (all of them), as `load_problems` takes it.
        train_size, test_size: problems; `test_size` is of the split that is evaluated.
        width, layers: of the student; 1.0M parameters by default.
        initializer_range: standard deviation of its first weights.
        reasoning: whether completions hold the scripted reasoning before the code.
        data_seed: which problems, and which compositions are held out.
    """

    problems: str = "generated"
    train_size: int = 3600
    test_size: int = 200
    width: int = 160
    layers: int = 3
    initializer_range: float = 0.12
    epochs: float = 1.0
    batch_size: int = 4
    reasoning: bool = False
    data_seed: int = 0
    max_length: int = 640
    weight_decay: float = 0.1

    def examples(self, rejected: bool) -> list[dict[str, str]]:
        rows = []
        for problem in load_problems(self.problems, split="train", size=self.train_size, seed=self.data_seed):
            reasoning = problem.metadata["reasoning"] if self.reasoning else ""
            completion = format_completion(reasoning, str(problem.reference))
            row = {"prompt": student_prompt(problem), "completion": completion}
            if rejected:
                row["rejected"] = format_completion(reasoning, problem.metadata["wrong_solution"])
            rows.append(row)
        return rows

    def student(self, rows: Sequence[dict[str, str]], seed: int) -> tuple[Any, Any]:
        import torch
        from transformers import Qwen3Config, Qwen3ForCausalLM

        tokenizer = train_tokenizer([row["prompt"] + row["completion"] for row in rows])
        torch.manual_seed(seed)
        config = Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.width * 5 // 2,
            num_hidden_layers=self.layers,
            num_attention_heads=self.width // HEAD_WIDTH,
            num_key_value_heads=self.width // HEAD_WIDTH,
            head_dim=HEAD_WIDTH,
            initializer_range=self.initializer_range,
            max_position_embeddings=2 * self.max_length,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        return Qwen3ForCausalLM(config), tokenizer

    def held_out(self, split: str) -> list[Problem]:
        return load_problems(self.problems, split=split, size=self.test_size, seed=self.data_seed)


@dataclass(frozen=True)
class GeneratedOnBase(Generated):
    """The same problems, fewer of them, for a base student that has seen Python before.

    Attributes:
        base: folder of the base student, below the shared models, or any folder.
    """

    base: str = "pycode-17m"
    train_size: int = 800
    test_size: int = 100
    batch_size: int = 8

    def student(self, rows: Sequence[dict[str, str]], seed: int) -> tuple[Any, Any]:
        return load_base(self.base, seed)
