"""Prompts and completions: what the student is trained on is what it sees when it generates."""

from tokenizers import Regex, pre_tokenizers

from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

# what Llama 3 and Qwen 2.5 cut at line breaks and punctuation
BREAKS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def test_a_prompt_is_cut_the_same_alone_and_before_its_completion(shared_data):
    cut = pre_tokenizers.Split(Regex(BREAKS), "isolated").pre_tokenize_str
    problems = load_problems("seed", limit=40) + load_problems("listops", size=20)
    problems += load_problems("humaneval", path=shared_data / "humaneval.jsonl.gz", limit=40)
    problems += load_problems("mbpp", path=shared_data / "mbpp.jsonl", limit=40)
    for problem in problems:
        for reasoning in (problem.metadata.get("reasoning", "1. Think."), "So", ""):
            prompt, completion = student_prompt(problem), format_completion(reasoning, problem.reference)
            alone = cut(prompt)
            assert cut(prompt + completion)[: len(alone)] == alone, problem.id


def test_a_completion_is_reasoning_then_the_code_in_a_fence():
    assert format_completion("1. Add.\n", "x = 1\n\n") == "1. Add.\n\n```python\nx = 1\n```\n"
    assert format_completion("", "x = 1") == "```python\nx = 1\n```\n"
