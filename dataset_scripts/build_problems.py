"""Builds the project's own problems (seed and listops) as Parquet that plain `load_dataset` reads, and may push them.

python dataset_scripts/build_problems.py --out problems --listops-train 800 --listops-test 200
python dataset_scripts/build_problems.py --out problems --push me/structdistill-problems
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hf_structdistill.problems import AssertTests, Problem, load_problems

CARD = """---
license: apache-2.0
language:
- en
tags:
- code
- hf-structdistill
configs:
{configs}---

# Problems of hf-structdistill

`seed`: original problems with reasoning, tests and a wrong solution, written by a very large language model in 2026;
every solution was run against its tests, and every wrong solution fails at least one. `listops`: generated chains of
filters, maps and a reduction over integer lists; no composition of the test split occurs in training.
"""


def rows(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """One row a problem, in the form that `load_problems("jsonl", path=…)` reads."""
    table = []
    for problem in problems:
        assert isinstance(problem.tests, AssertTests)
        table.append(
            {
                "id": problem.id,
                "prompt": problem.prompt,
                "entry_point": problem.entry_point,
                "reasoning": problem.metadata["reasoning"],
                "solution": problem.reference,
                "wrong_solution": problem.metadata["wrong_solution"],
                "tests": list(problem.tests.asserts),
                "split": problem.split,
            }
        )
    return table


def build(out: Path, sizes: dict[str, int], seed: int) -> None:
    """Write `out/<family>/<split>.parquet` and a card."""
    from datasets import Dataset

    configs = ""
    for family in ("seed", "listops"):
        configs += f"- config_name: {family}\n  data_files:\n"
        for split in ("train", "test"):
            problems = load_problems(family, split=split, size=sizes[split], seed=seed)
            (out / family).mkdir(parents=True, exist_ok=True)
            Dataset.from_list(rows(problems)).to_parquet(out / family / f"{split}.parquet")
            configs += f"  - split: {split}\n    path: {family}/{split}.parquet\n"
    (out / "README.md").write_text(CARD.format(configs=configs), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--listops-train", type=int, default=800)
    parser.add_argument("--listops-test", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--push", metavar="REPO", help="Hub data set to push the folder to, private unless it exists")
    options = parser.parse_args()
    build(options.out, {"train": options.listops_train, "test": options.listops_test}, options.seed)
    if options.push:
        from huggingface_hub import HfApi

        api = HfApi()
        api.create_repo(options.push, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(folder_path=options.out, repo_id=options.push, repo_type="dataset")


if __name__ == "__main__":
    main()
