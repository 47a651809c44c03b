"""Generated problems, and students trained on them from scratch: study 1 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_structdistill.problems import Problem, load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt


@dataclass(frozen=True)
class Generated:
    """A generated family, and a small Llama of narrow heads.

    Attributes:
        problems: a family or "generated" (all of them), as `load_problems` takes it.
        train_size, test_size: problems; `test_size` is of the split that is evaluated.
        width, layers: of the student; 1.5M parameters by default.
        reasoning: whether completions hold the scripted reasoning before the code.
        data_seed: which problems, and which compositions are held out.
    """

    problems: str = "generated"
    train_size: int = 6000
    test_size: int = 200
    width: int = 192
    layers: int = 3
    epochs: float = 2.0
    batch_size: int = 16
    reasoning: bool = True
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
        from transformers import LlamaConfig, LlamaForCausalLM

        # the demo's tokenizer, and its narrow heads: copying names is learned in fewer steps
        from hf_structdistill.cli._demo_student import HEAD_WIDTH, train_tokenizer

        tokenizer = train_tokenizer([row["prompt"] + row["completion"] for row in rows])
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.width * 5 // 2,
            num_hidden_layers=self.layers,
            num_attention_heads=self.width // HEAD_WIDTH,
            num_key_value_heads=self.width // HEAD_WIDTH,
            max_position_embeddings=2 * self.max_length,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        return LlamaForCausalLM(config), tokenizer

    def held_out(self, split: str) -> list[Problem]:
        return load_problems(self.problems, split=split, size=self.test_size, seed=self.data_seed)
