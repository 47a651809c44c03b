"""Alignment against the tokenizer: tokens per second of the StructureAnnotator and of encoding the same texts.

    python -m benchmarks.alignment [--json rows.json] [--tokenizer FOLDER ...] [--repeats 5]

Texts are training examples: the problems in the package and, where the shared data lies beside the checkout, traces of
MBPP. Both sides run in one process without threads; CPU time is taken, so that other load on the machine changes
little; passes of the two alternate and the best of each counts. Nothing is cached from one pass to the next: the
annotator keeps nothing, and the tokenizer's cache of words is emptied.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from hf_structdistill.problems.prompting import format_completion
from hf_structdistill.structure import StructureAnnotator, TokenBytes, analyse_dataflow, code_regions, parse

ROOT = Path(__file__).resolve().parents[1]
SEED = ROOT / "hf_structdistill" / "problems" / "data" / "seed_problems.jsonl"
SHARED = ROOT.parent / "shared"
BATCH = 16


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def examples() -> list[tuple[str, str]]:
    """(prompt, completion) of every training example at hand."""
    pairs = [(row["prompt"] + "\n\n", format_completion(row["reasoning"], row["solution"])) for row in read_rows(SEED)]
    if (SHARED / "data" / "mbpp_traces.jsonl").exists():
        texts = {row["task_id"]: row for row in read_rows(SHARED / "data" / "mbpp.jsonl")}
        for row in read_rows(SHARED / "data" / "mbpp_traces.jsonl"):
            problem = texts[row["task_id"]]
            pairs.append((problem["text"] + "\n" + "\n".join(problem["test_list"]) + "\n\n", row["response"]))
    return pairs


def load_tokenizers(folders: list[str]) -> dict[str, Any]:
    """Backends of fast tokenizers: those in the folders, or tekken (131k tokens) and that of the test student."""
    from transformers import AutoTokenizer

    if folders:
        return {Path(folder).name: AutoTokenizer.from_pretrained(folder).backend_tokenizer for folder in folders}
    import mistral_common
    from transformers.integrations.mistral import convert_tekken_tokenizer

    tekken = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    found = {"tekken": convert_tekken_tokenizer(str(tekken)).backend_tokenizer}
    if (SHARED / "models" / "pycode-17m").is_dir():
        found["pycode"] = AutoTokenizer.from_pretrained(SHARED / "models" / "pycode-17m").backend_tokenizer
    return found


def cpu_seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def best_of(repeats: int, *sides: Callable[[], Any]) -> list[float]:
    """Least CPU seconds of each side, passes alternating so that a busy moment hits all of them."""
    passes = [[cpu_seconds(side) for side in sides] for _ in range(repeats)]
    return [min(times) for times in zip(*passes, strict=True)]


def compare(tokenizer: Any, prompts: list[str], texts: list[str], repeats: int) -> tuple[int, list[float]]:
    """Tokens, and the CPU seconds of encoding the texts, annotating them one by one, and in batches of BATCH.

    Prompts are unsupervised, as in training.
    """
    annotator = StructureAnnotator(TokenBytes.from_tokenizer(tokenizer))
    whole = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
    ids = [tokenizer.encode(text).ids for text in whole]
    heads = [len(tokenizer.encode(prompt).ids) if prompt else 0 for prompt in prompts]
    labels = [[-100] * head + row[head:] for head, row in zip(heads, ids, strict=True)]

    def encode() -> None:
        if hasattr(tokenizer.model, "_clear_cache"):
            tokenizer.model._clear_cache()
        for encoding in tokenizer.encode_batch(whole):
            encoding.ids  # noqa: B018 (the list is made at this access)

    def one_by_one() -> None:
        for row, row_labels in zip(ids, labels, strict=True):
            annotator.annotate(row, row_labels)

    def in_batches() -> None:
        for start in range(0, len(ids), BATCH):
            annotator.annotate_batch(ids[start : start + BATCH], labels[start : start + BATCH])

    return sum(map(len, ids)), best_of(repeats, encode, one_by_one, in_batches)


def share_of_parts(completions: list[str], repeats: int) -> tuple[float, float]:
    """CPU seconds of parsing (trees as arrays) and of the data-flow analysis alone: what no alignment can avoid."""
    codes = []
    for completion in completions:
        data = completion.encode()
        codes.extend(data[region.start : region.end] for region in code_regions(data))
    trees = [parse(code) for code in codes]
    parsing, flow = best_of(
        repeats, lambda: [parse(code) for code in codes], lambda: [analyse_dataflow(tree) for tree in trees]
    )
    return parsing, flow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the ratios to this file")
    parser.add_argument("--tokenizer", nargs="*", default=[], help="folders of fast tokenizers")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pairs = examples()
    prompts, completions = [prompt for prompt, _ in pairs], [completion for _, completion in pairs]
    nothing = [""] * len(pairs)
    parsing, flow = share_of_parts(completions, options.repeats)
    rows = []
    for name, tokenizer in load_tokenizers(options.tokenizer).items():
        cases = (("prompt and completion", prompts, completions), ("completion only", nothing, completions))
        for label, heads, texts in cases:
            tokens, (encoding, single, batched) = compare(tokenizer, heads, texts, options.repeats)
            print(f"{name}, {label}: {len(texts)} texts, {tokens} tokens; tokenizer {tokens / encoding:,.0f} tokens/s")
            for way, seconds in ((f"batches of {BATCH}", batched), ("one by one", single)):
                print(
                    f"    annotate, {way}: {tokens / seconds:,.0f} tokens/s, {encoding / seconds:.2f}x the tokenizer "
                    f"(of it parsing {parsing / seconds:.0%}, data flow {flow / seconds:.0%})"
                )
                what, peer = f"token alignment, {label}, {way}", f"{name} tokenizer, encode_batch"
                rows.append({"what": what, "peer": peer, "aim": 1.0, "ratio": round(encoding / seconds, 2)})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
