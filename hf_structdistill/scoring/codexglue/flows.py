"""Normalised data flows, and how many of a reference's a prediction has.

The published normalisation lists the sources of a variable in the order of a Python set of strings wherever several
passes over a loop (or several tokens) add to one variable, and that order changes with PYTHONHASHSEED. Here fixed
orders stand in for the seeds, and where they disagree the median of many decides, which keeps the count within what
the seeds give and the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

Flow = tuple[int, str, tuple[int, ...]]
"""(variable, relation, variables it comes from), names as numbers in order of appearance."""

_FEW, _MANY = 3, 15


FlowItem = tuple[str, str, "list[str] | set[str]"]
"""A variable token: its name, the relation, and where its value comes from; a set has no order of its own."""


class PublishedFlows:
    """The data flows of one program: names as indices, equal items counted, ready for any order of the sets."""

    def __init__(self, items: Iterable[FlowItem] = ()) -> None:
        index: dict[str, int] = {}
        self._first: list[tuple[list[int], int]] = []  # names met for the first time, and the slots of their set or 0
        self._rows: dict[tuple[int, str, tuple[int, ...], int], int] = {}  # (variable, relation, sources, slots)
        self._counts: dict[int, dict[Flow, int]] = {}
        self.total = 0
        for name, relation, sources in items:
            self.total += 1
            known = len(index)
            slots = _slots(len(sources)) if isinstance(sources, set) and len(sources) > 1 else 0
            ids = tuple([index.setdefault(source, len(index)) for source in (sorted(sources) if slots else sources)])
            if len(index) > known:
                self._first.append((list(range(known, len(index))), slots))
                known = len(index)
            variable = index.setdefault(name, known)
            if variable == known:
                self._first.append(([variable], 0))
            row = (variable, relation, ids, slots)
            self._rows[row] = self._rows.get(row, 0) + 1
        self.has_sets = any(slots for _, _, _, slots in self._rows)
        self._hashes = [crc32(name.encode("utf-8", "surrogatepass")) for name in index] if self.has_sets else []
        self._names = len(index)

    def counts(self, order: int = 0) -> dict[Flow, int]:
        """How often each flow occurs, names numbered as they appear, sources before the variable they go to."""
        counts = self._counts.get(order)
        if counts is None:
            counts = self._counts[order] = self._normalise(order)
        return counts

    def _normalise(self, order: int) -> dict[Flow, int]:
        if not self.has_sets:  # names were numbered as they appeared
            return {row[:3]: times for row, times in self._rows.items()}
        salt = (2 * order + 1) * 0x9E3779B1
        mixed = [(value * salt & 0xFFFFFFFFFFFF) >> 16 for value in self._hashes]
        number = [0] * self._names
        count = 0
        for names, slots in self._first:
            if slots and len(names) > 1:
                names = _as_a_set_orders(names, slots, mixed)
            for name in names:
                number[name] = count
                count += 1
        counts: dict[Flow, int] = {}
        for (variable, relation, sources, slots), times in self._rows.items():
            ordered = _as_a_set_orders(sources, slots, mixed) if slots else sources
            flow = (number[variable], relation, tuple([number[source] for source in ordered]))
            counts[flow] = counts.get(flow, 0) + times
        return counts


def _slots(size: int) -> int:
    """Mask of the hash table that a set of this size has."""
    return 7 if size < 5 else 31 if size < 19 else 127


def _as_a_set_orders(names: Iterable[int], slots: int, mixed: list[int]) -> list[int]:
    """An order in which a set might list these names: by as many bits of a hash as its table has slots."""
    return sorted(names, key=lambda name: (mixed[name] & slots, mixed[name]))


def matched_flows(wanted: PublishedFlows, found: PublishedFlows) -> int:
    """How many flows of the reference the prediction has, each of its own used once."""
    if not (wanted.has_sets or found.has_sets):
        return _matched(wanted, found, 0)
    hits = [_matched(wanted, found, order) for order in range(_FEW)]
    if len(set(hits)) > 1:
        hits += [_matched(wanted, found, order) for order in range(_FEW, _MANY)]
    return sorted(hits)[(len(hits) - 1) // 2]  # the median


def _matched(wanted: PublishedFlows, found: PublishedFlows, order: int) -> int:
    available = found.counts(order)
    return sum([min(count, available[flow]) for flow, count in wanted.counts(order).items() if flow in available])
