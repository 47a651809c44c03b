"""Students made on the spot: a tokenizer trained here and a tiny Llama that has learnt its answers by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.problems.prompting import format_completion, student_prompt


def problem(name: str, text: str, code: str, *asserts: str) -> Problem:
    return Problem(f"tiny/{name}", text, AssertTests(asserts), name, code, "tiny", "test")


PROBLEMS = [
    problem("double", "Write double(n).", "def double(n):\n    return n * 2\n", "assert double(3) == 6"),
    problem(
        "total",
        "Write total(xs), the sum of a list of numbers.",
        "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n",
        "assert total([1, 2]) == 3",
        "assert total([]) == 0",
    ),
    problem("last", "Write last(xs).", "def last(xs):\n    y = xs[-1]\n    return y\n", "assert last([1, 5]) == 5"),
    problem(
        "clamp",
        "Write clamp(x, low, high) that keeps x in its bounds.",
        "def clamp(x, low, high):\n    if x < low:\n        return low\n    return min(x, high)\n",
        "assert clamp(5, 0, 3) == 3",
        "assert clamp(-5, 0, 3) == 0",
    ),
]
WRONG = {
    "total": "def total(xs):\n    s = 0\n    for x in xs:\n        s = x\n    return s\n",
    "clamp": "def clamp(x, low, high):\n    return min(x, high)\n",
}


def answers(wrong: Sequence[str] = ()) -> list[str]:
    """The completion of each problem; a wrong one for the problems named."""
    return [
        format_completion(
            f"1. I write {p.entry_point}.", WRONG[p.entry_point] if p.entry_point in wrong else p.reference
        )
        for p in PROBLEMS
    ]


def train_tokenizer() -> PreTrainedTokenizerFast:
    bpe = ByteLevelBPETokenizer()
    # prompts alone as well: their end becomes a token that no prompt has before its completion
    texts = [
        text for p, a in zip(PROBLEMS, answers(), strict=True) for text in (student_prompt(p), student_prompt(p) + a)
    ]
    bpe.train_from_iterator(texts, vocab_size=400, special_tokens=["<eos>", "<pad>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<eos>", pad_token="<pad>")


def memorise(folder: Path, wrong: Sequence[str] = ()) -> Path:
    """Train a student until it answers by heart, and save it; after its answer it goes on with more text."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=256,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
    )
    rows = []
    for p, answer in zip(PROBLEMS, answers(wrong), strict=True):
        prompt = tokenizer(student_prompt(p))["input_ids"]
        whole = tokenizer(student_prompt(p) + answer + "And more.")["input_ids"]  # together, as TRL does
        rows.append((whole + [tokenizer.eos_token_id], len(prompt)))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [1] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([[-100] * n + row[n:] + [-100] * (width - len(row)) for row, n in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(400):
        output = model(input_ids=ids, labels=labels)
        right = (output.logits[:, :-1].argmax(-1) == labels[:, 1:]) | (labels[:, 1:] == -100)
        if right.all() and output.loss.item() < 0.02:
            break
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert right.all(), f"the tiny student did not learn its answers: loss {output.loss.item():.3f}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
