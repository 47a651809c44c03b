"""Prompts and completions: what the student is trained on is what it sees when it generates."""

from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import as_trained, format_completion, student_prompt
from tests.structure.tokenizer_families import byte_level

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


def test_a_prompt_for_code_that_tokenizes_it_alone():
    """Its tokens are those that stand before the completion, whichever pre-tokenizer cuts the empty line."""
    prompt = "Add the numbers.\n\n"
    for pattern, expected in ((None, prompt.rstrip()), (BREAKS, prompt)):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level(pattern))
        tokenizer = tokenizer.train_new_from_iterator([prompt] * 50, vocab_size=500, show_progress=False)
        given = as_trained(tokenizer, prompt)
        assert given == expected
        ids, whole = (tokenizer(text)["input_ids"] for text in (given, prompt + "1. Think."))
        assert whole[: len(ids)] == ids
