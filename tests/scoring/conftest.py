"""The reference implementation of the published metric, called with the grammars this package uses."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_structdistill.structure.languages import get_language

_WORKER = Path(__file__).with_name("oracle_worker.py")


class Oracle:
    """codebleu 0.7.0. Its own grammar lookup fails with today's grammar packages, so it is handed ours."""

    def __init__(self) -> None:
        try:
            from codebleu import codebleu, dataflow_match, syntax_match
        except ModuleNotFoundError as error:
            pytest.fail(f"the test oracle is missing ({error}): pip install --no-deps codebleu==0.7.0")
        codebleu.get_tree_sitter_language = lambda name: get_language(name).grammar
        logging.getLogger().addFilter(lambda record: "data-flow" not in record.getMessage())
        self._codebleu, self._syntax, self._dataflow = codebleu, syntax_match, dataflow_match

    def clean(self, source: str) -> str:
        return self._syntax.remove_comments_and_docstrings(source, "python")

    def syntax(self, prediction: str, references: list[str], language: str = "python") -> float:
        grammar = get_language(language).grammar
        return self._syntax.corpus_syntax_match([references], [prediction], language, tree_sitter_language=grammar)

    def dataflow(self, prediction: str, references: list[str], language: str = "python") -> float:
        grammar = get_language(language).grammar
        return self._dataflow.corpus_dataflow_match([references], [prediction], language, tree_sitter_language=grammar)

    def codebleu(self, predictions: list[str], references: list[list[str]], language: str = "python") -> dict:
        return self._codebleu.calc_codebleu(references, predictions, language)

    def dataflow_range(self, pairs: list[tuple[str, str]], language: str, folder: Path) -> list[tuple[float, float]]:
        """Lowest and highest data-flow match of each (prediction, reference) over ten values of PYTHONHASHSEED."""
        source = folder / "pairs.json"
        source.write_text(json.dumps([language, pairs]))
        by_seed = []
        for seed in range(10):
            environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run(
                [sys.executable, str(_WORKER), str(source)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            by_seed.append(json.loads(done.stdout))
        return [(min(values), max(values)) for values in zip(*by_seed, strict=True)]


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="session")
def seed_programs() -> list[dict]:
    """The problems that ship with the package: rows with `solution` and `wrong_solution`."""
    path = next((Path(__file__).parents[2] / "hf_structdistill").rglob("seed_problems.jsonl"))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="session")
def read_jsonl(shared_data: Path) -> Callable[[str], list[dict]]:
    return lambda name: [json.loads(line) for line in (shared_data / name).read_text().splitlines()]
