"""Normalised data flows, and how many of a reference's a prediction has.

The published normalisation lists the sources of a variable in the order of a Python set of strings wherever several
passes over a loop (or several tokens) add to one variable, and that order changes with PYTHONHASHSEED. Here fixed
orders stand in for the seeds, and where they disagree the median of many decides, which keeps the count within what
the seeds give and the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low
from typing import NamedTuple
from zlib import crc32

Flow = tuple[int, str, tuple[int, ...]]
"""(variable, relation, variables it comes from), names as numbers in order of appearance."""

_FEW, _MANY = 3, 15


class FlowItem(NamedTuple):
    """One variable token and where its value comes from; a set of sources has no order of its own."""

    name: str
    relation: str
    sources: list[str] | set[str]


class PublishedFlows:
    """The data flows of one program."""

    def __init__(self, items: Iterable[FlowItem] = ()) -> None:
        self._items = list(items)
        self._counts: dict[int, dict[Flow, int]] = {}
        self.total = len(self._items)
        self.has_sets = any(isinstance(item.sources, set) and len(item.sources) > 1 for item in self._items)

    def counts(self, order: int = 0) -> dict[Flow, int]:
        """How often each flow occurs, names numbered as they appear, sources before the variable they go to."""
        counts = self._counts.get(order)
        if counts is None:
            counts = self._counts[order] = self._normalise(order)
        return counts

    def _normalise(self, order: int) -> dict[Flow, int]:
        salt = (2 * order + 1) * 0x9E3779B1
        number: dict[str, int] = {}
        counts: dict[Flow, int] = {}
        for name, relation, sources in self._items:
            if isinstance(sources, set) and len(sources) > 1:
                sources = _as_a_set_orders(sources, salt)
            parents = tuple([number.setdefault(source, len(number)) for source in sources])
            flow = (number.setdefault(name, len(number)), relation, parents)
            counts[flow] = counts.get(flow, 0) + 1
        return counts


def _as_a_set_orders(names: set[str], salt: int) -> list[str]:
    """An order in which a set might list these names: by as many bits of a hash as its table has slots."""
    slots = 7 if len(names) < 5 else 31 if len(names) < 19 else 127

    def rank(name: str) -> tuple[int, int]:
        mixed = (crc32(name.encode("utf-8", "surrogatepass")) * salt & 0xFFFFFFFFFFFF) >> 16
        return mixed & slots, mixed

    return sorted(names, key=rank)


def matched_flows(wanted: PublishedFlows, found: PublishedFlows) -> int:
    """How many flows of the reference the prediction has, each of its own used once."""
    if not (wanted.has_sets or found.has_sets):
        return _matched(wanted, found, 0)
    hits = [_matched(wanted, found, order) for order in range(_FEW)]
    if len(set(hits)) > 1:
        hits += [_matched(wanted, found, order) for order in range(_FEW, _MANY)]
    return median_low(hits)


def _matched(wanted: PublishedFlows, found: PublishedFlows, order: int) -> int:
    available = found.counts(order)
    return sum([min(count, available[flow]) for flow, count in wanted.counts(order).items() if flow in available])
