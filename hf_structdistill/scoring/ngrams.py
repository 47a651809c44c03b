"""BLEU and its keyword-weighted variant: the two n-gram parts of CodeBLEU.

Papineni et al. 2002 with Chen and Cherry's smoothing 1 (a precision without matches counts 0.1), over whole
corpora: counts add up over samples, then one score is taken. Written from the papers and checked against codebleu.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_ORDERS = (1, 2, 3, 4)
_EPSILON = 0.1
_KEYWORD_WEIGHT, _OTHER_WEIGHT = 1.0, 0.2


@dataclass
class NgramCounts:
    """Matched and possible n-grams per order, and the lengths the brevity penalty compares.

    An order of which nothing is possible (programs of fewer tokens) is no part of the score.
    """

    matched: list[float] = field(default_factory=lambda: [0.0] * len(_ORDERS))
    total: list[float] = field(default_factory=lambda: [0.0] * len(_ORDERS))
    length: int = 0
    reference_length: int = 0

    def add(self, other: NgramCounts) -> None:
        self.matched = [a + b for a, b in zip(self.matched, other.matched, strict=True)]
        self.total = [a + b for a, b in zip(self.total, other.total, strict=True)]
        self.length += other.length
        self.reference_length += other.reference_length

    def score(self) -> float | None:
        """Geometric mean of the ratios times the brevity penalty; None where no program has a token."""
        if not self.total[0]:
            return None
        if not self.matched[0]:
            return 0.0
        orders = zip(self.matched, self.total, strict=True)
        logs = [math.log((matched or _EPSILON) / total) for matched, total in orders if total]
        penalty = 1.0 if self.length > self.reference_length else math.exp(1 - self.reference_length / self.length)
        return penalty * math.exp(math.fsum(logs) / len(logs))


def sum_counts(parts: Iterable[NgramCounts]) -> NgramCounts:
    whole = NgramCounts()
    for part in parts:
        whole.add(part)
    return whole


def ngram_counts(candidate: Sequence[str], references: Sequence[Sequence[str]], published: bool) -> NgramCounts:
    """BLEU's clipped precision: n-grams of the candidate, each matched as often as the reference richest in it.

    A candidate too short for an order has missed one; in the published implementation even where nothing is longer.
    """
    counts = NgramCounts(length=len(candidate), reference_length=_closest_length(candidate, references))
    for i, n in enumerate(_ORDERS):
        found = _ngrams(candidate, n)
        allowed: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            allowed |= _ngrams(reference, n)
        counts.matched[i] = sum((found & allowed).values())
        counts.total[i] = sum(found.values()) or (1 if published or allowed else 0)
    return counts


def weighted_ngram_counts(
    candidate: Sequence[str], references: Sequence[Sequence[str]], keywords: frozenset[str], published: bool
) -> NgramCounts:
    """CodeBLEU's weighted n-gram match: recall of the references' n-grams; single tokens weigh 1 (keywords) or 0.2.

    The published implementation takes every reference to be two tokens long when it penalises brevity, and to weigh 1
    at least in each order.
    """
    length = 2 if published else _closest_length(candidate, references)
    counts = NgramCounts(length=len(candidate), reference_length=length)
    for i, n in enumerate(_ORDERS):
        found = _ngrams(candidate, n)
        for reference in references:
            wanted = _ngrams(reference, n)
            hits = wanted & found
            counts.matched[i] += _weigh(hits, keywords) if n == 1 else sum(hits.values())
            weight = _weigh(wanted, keywords) if n == 1 else sum(wanted.values())
            counts.total[i] += max(1, weight) if published else weight or (1 if found else 0)
    return counts


def _weigh(unigrams: Counter[tuple[str, ...]], keywords: frozenset[str]) -> float:
    return sum(
        count * (_KEYWORD_WEIGHT if token in keywords else _OTHER_WEIGHT) for (token,), count in unigrams.items()
    )


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*[tokens[i:] for i in range(n)], strict=False))


def _closest_length(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> int:
    """Length of the reference closest in length, the shorter of two as close."""
    return min((len(reference) for reference in references), key=lambda n: (abs(n - len(candidate)), n))
