"""Analyse each program once, whatever is asked about it afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..structure.dataflow import analyse_dataflow
from ..structure.languages import Language, get_language
from ..structure.tree import unwalked
from . import strict
from .codexglue.dataflow import published_dataflow
from .codexglue.flows import NO_FLOWS, PublishedFlows, matched_flows
from .codexglue.rules import rules_of
from .codexglue.trees import flatten
from .keywords import KEYWORDS
from .ngrams import NgramCounts, ngram_counts, weighted_ngram_counts

Mode = Literal["strict", "codexglue"]
MODES = ("strict", "codexglue")
METRICS = ("syntax", "dataflow")


def parses(source: str | bytes, *, language: str = "python") -> bool:
    """Whether tree-sitter parses the whole of `source` without an error. An empty program does."""
    return not unwalked(source, language).has_error


@dataclass
class Program:
    """What both scores compare: multisets (item -> count) over the numbers of one `Analyser`.

    Attributes:
        items: metric name -> multiset; an empty one means that the score is undefined for this reference.
        flows: codexglue mode: the data flows, which have no one order and so no one multiset.
        has_error: whether the program does not parse.
        cleaned: codexglue mode: the text that was parsed; strict mode: the program itself.
        tokens: strict mode, where n-grams were asked for: the tokens without layout, comments and docstrings.
    """

    items: dict[str, dict]
    has_error: bool
    cleaned: str
    flows: PublishedFlows = NO_FLOWS
    tokens: list[str] = field(default_factory=list)


class Analyser:
    """Programs of one comparison, analysed when first asked for and kept.

    Subtree numbers are only comparable between programs of the same Analyser.
    """

    def __init__(
        self, language: str | Language, mode: str, metrics: Iterable[str] = METRICS, tokens: bool = False
    ) -> None:
        self.language = get_language(language)
        self.metrics: Collection[str] = tuple(metrics)
        if mode not in MODES:
            raise InputError(f"expected a mode among {', '.join(MODES)}, got {mode!r}")
        if unknown := [metric for metric in self.metrics if metric not in METRICS]:
            raise InputError(f"expected metrics among {', '.join(METRICS)}, got {unknown[0]!r}")
        if mode == "strict" and "dataflow" in self.metrics and self.language.analyse_dataflow is None:
            raise InputError(
                f"expected a language with strict data flow (python), got {self.language.name!r}: "
                "use mode='codexglue', or score syntax only"
            )
        self.mode, self._tokens = mode, tokens
        self._analyse = self._strict if mode == "strict" else self._published
        self._numbers: dict[tuple, int] = {}
        self._flow_numbers: dict[tuple, int] = {}
        self._programs: dict[str, Program] = {}

    def __call__(self, source: str) -> Program:
        program = self._programs.get(source)
        if program is None:
            program = self._programs[source] = self._analyse(source)
        return program

    def _strict(self, source: str) -> Program:
        tree, subtrees = strict.read(source, self.language, self._numbers)
        items = {"syntax": subtrees}
        if "dataflow" in self.metrics:
            items["dataflow"] = strict.flows(analyse_dataflow(tree), self._flow_numbers)
        tokens = strict.tokens(tree) if self._tokens else []
        return Program(items, tree.has_error, source, tokens=tokens)

    def _published(self, source: str) -> Program:
        wanted = "dataflow" in self.metrics
        tree = flatten(source, self.language, self._numbers, rules_of(self.language))
        flows = published_dataflow(tree, self.language) if wanted else NO_FLOWS
        # cleaning can break what did parse (tabs), so the text as it was given decides
        broken = tree.has_error and (tree.text == source or not parses(source, language=self.language.name))
        return Program({"syntax": tree.subtrees}, broken, tree.text, flows)


Tally = tuple[int, int]
"""Matched items and all items of the reference. A total of 0: undefined."""


def compare(analyser: Analyser, prediction: str, references: list[str]) -> dict[str, Tally]:
    """Score one prediction against its references: metric -> tally.

    strict mode takes, for each metric, the reference that the prediction matches best. codexglue mode adds up all
    references, as the published metric does, and like it cleans the prediction once more for each.
    """
    return (_compare_published if analyser.mode == "codexglue" else _compare_strict)(analyser, prediction, references)


def _compare_strict(analyser: Analyser, prediction: str, references: list[str]) -> dict[str, Tally]:
    found = analyser(prediction).items
    tallies: dict[str, Tally] = dict.fromkeys(analyser.metrics, (0, 0))
    for text in references:
        wanted = analyser(text).items
        for metric, (matched, total) in tallies.items():
            hits, size = _matched(wanted[metric], found[metric]), sum(wanted[metric].values())
            if size and (not total or hits * total > matched * size):
                tallies[metric] = (hits, size)
    return tallies


def _compare_published(analyser: Analyser, prediction: str, references: list[str]) -> dict[str, Tally]:
    program = analyser(prediction)
    tallies: dict[str, Tally] = dict.fromkeys(analyser.metrics, (0, 0))
    for nth, text in enumerate(references):
        if nth:
            program = analyser(program.cleaned)
        reference = analyser(text)
        for metric, (matched, total) in tallies.items():
            if metric == "syntax":
                wanted = reference.items["syntax"]
                hits, size = _matched_present(wanted, program.items["syntax"]), sum(wanted.values())
            else:
                hits, size = matched_flows(reference.flows, program.flows), reference.flows.total
            tallies[metric] = (matched + hits, total + size)
    return tallies


def _matched(wanted: dict, found: dict) -> int:
    """Size of the intersection of two multisets."""
    return sum([min(wanted[item], found[item]) for item in wanted.keys() & found.keys()])


def _matched_present(wanted: dict, found: dict) -> int:
    """The published syntax match counts an item of the reference as often as it occurs there, if it occurs at all."""
    return sum([count for item, count in wanted.items() if item in found])


def pair_ngrams(analyser: Analyser, prediction: str, references: list[str]) -> tuple[NgramCounts, NgramCounts]:
    """BLEU's and the keyword-weighted n-gram counts of one prediction."""
    published = analyser.mode == "codexglue"
    texts = [prediction, *references]
    found, *wanted = [text.split() if published else analyser(text).tokens for text in texts]
    keywords = KEYWORDS[analyser.language.name]
    return ngram_counts(found, wanted, published), weighted_ngram_counts(found, wanted, keywords, published)
