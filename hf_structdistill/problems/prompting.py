"""How a problem is put to the student, and what its completion looks like."""

from __future__ import annotations

from typing import Any

from .problem import Problem


def student_prompt(problem: Problem) -> str:
    """The text the student continues; ends with an empty line, so that a completion starts on its own line.

    GPT-2's pre-tokenizer cuts two line breaks otherwise at the end of a text than before other text:
    `evaluation.generate_completions` encodes a prompt as it stands before its completion.

    A HumanEval prompt is the head of a function, so it is shown as code to complete.
    """
    if problem.source == "humaneval":
        return f"Complete this function:\n\n```python\n{problem.prompt.strip()}\n```\n\n"
    return problem.prompt.strip() + "\n\n"


def as_trained(tokenizer: Any, prompt: str) -> str:
    """`prompt` without its last line breaks where they are other tokens at the end of a text than before a completion.

    For code that tokenizes a prompt alone, such as the snippet of a card: the student then writes the line breaks, as
    single tokens, as they stand in its training.
    """
    alone = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    followed = tokenizer(prompt + "x", add_special_tokens=False)["input_ids"]
    return prompt if followed[: len(alone)] == alone else prompt.rstrip("\n")


def format_completion(reasoning: str, code: str, language: str = "python") -> str:
    """Reasoning, an empty line, then `code` in a fence. The fence is longer where the code itself has one."""
    fence = "```"
    while fence in code:
        fence += "`"
    block = f"{fence}{language}\n{code.strip(chr(10))}\n{fence}\n"
    return f"{reasoning.strip()}\n\n{block}" if reasoning.strip() else block
