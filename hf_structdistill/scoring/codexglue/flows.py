"""Normalised data flows, and how many of a reference's a prediction has.

The published normalisation lists the sources of a variable in the order of a Python set of strings wherever several
passes over a loop (or several tokens) add to one variable, and that order changes with PYTHONHASHSEED. Here fixed
orders stand in for the seeds, and where they disagree the median of many decides, which keeps the count within what
the seeds give and the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
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
        self._first: list[tuple[list[int], int]] = []  # names met together for the first time, and their set's slots
        self._rows: dict[Flow, int] = {}  # those whose sources have one order, by their names' indices
        self._loose: dict[tuple[int, str, tuple[int, ...], int], int] = {}  # (variable, relation, sources, slots)
        self._counts: dict[int, dict[Flow, int]] = {}
        self.total = 0
        for name, relation, sources in items:
            self.total += 1
            known = len(index)
            if isinstance(sources, set) and len(sources) > 1:
                slots = _slots(len(sources))
                ids = tuple([index.setdefault(source, len(index)) for source in sorted(sources)])
                if len(index) > known + 1:
                    self._first.append((list(range(known, len(index))), slots))
                loose = (index.setdefault(name, len(index)), relation, ids, slots)
                self._loose[loose] = self._loose.get(loose, 0) + 1
            else:
                ids = tuple([index.setdefault(source, len(index)) for source in sources])
                row = (index.setdefault(name, len(index)), relation, ids)
                self._rows[row] = self._rows.get(row, 0) + 1
        self.has_sets = bool(self._loose)
        if self.has_sets:
            names = list(index)
            inside = {i for _, _, ids, _ in self._loose for i in ids}
            self._hashes = {i: crc32(names[i].encode("utf-8", "surrogatepass")) for i in inside}
            self._names = len(names)

    def counts(self, order: int = 0) -> dict[Flow, int]:
        """How often each flow occurs, names numbered as they appear, sources before the variable they go to."""
        if not self.has_sets:
            return self._rows
        counts = self._counts.get(order)
        if counts is None:
            counts = self._counts[order] = self._normalise(order)
        return counts

    def _normalise(self, order: int) -> dict[Flow, int]:
        salt = (2 * order + 1) * 0x9E3779B1
        mixed = {name: (value * salt & 0xFFFFFFFFFFFF) >> 16 for name, value in self._hashes.items()}
        ranks: dict[int, dict[int, int]] = {}  # slots -> the order in which a set of so many might list the names
        for slots in {slots for _, _, _, slots in self._loose}:
            ranks[slots] = {name: (value & slots) << 32 | value for name, value in mixed.items()}
        counts = dict(self._rows)
        number = list(range(self._names))
        if self._first:
            for names, slots in self._first:
                for nth, name in enumerate(sorted(names, key=ranks[slots].__getitem__), names[0]):
                    number[name] = nth
            counts = {}
            for (variable, relation, sources), times in self._rows.items():
                counts[number[variable], relation, tuple([number[source] for source in sources])] = times
        for (variable, relation, sources, slots), times in self._loose.items():
            ordered = sorted(sources, key=ranks[slots].__getitem__)
            flow = (number[variable], relation, tuple([number[source] for source in ordered]))
            counts[flow] = counts.get(flow, 0) + times
        return counts

    @cached_property
    def unordered(self) -> tuple[set[tuple], set[tuple]] | None:
        """The flows with several sources, these sorted: those whose order is open, and all; None where the order
        decides how names are numbered."""
        if self._first:
            return None
        loose = {row[:3] for row in self._loose}  # already sorted by name, not by number
        loose = {(variable, relation, tuple(sorted(sources))) for variable, relation, sources in loose}
        fixed = {(v, relation, tuple(sorted(sources))) for v, relation, sources in self._rows if len(sources) > 1}
        return loose, loose | fixed


NO_FLOWS = PublishedFlows()


def _slots(size: int) -> int:
    """Mask of the hash table that a set of this size has."""
    return 7 if size < 5 else 31 if size < 19 else 127


def matched_flows(wanted: PublishedFlows, found: PublishedFlows) -> int:
    """How many flows of the reference the prediction has, each of its own used once."""
    if not _order_matters(wanted, found):
        return _matched(wanted, found, 0)
    hits = [_matched(wanted, found, order) for order in range(_FEW)]
    if len(set(hits)) > 1:
        hits += [_matched(wanted, found, order) for order in range(_FEW, _MANY)]
    return sorted(hits)[(len(hits) - 1) // 2]  # the median


def _order_matters(wanted: PublishedFlows, found: PublishedFlows) -> bool:
    """Whether a flow whose sources have no one order may match, in some order."""
    if not (wanted.has_sets or found.has_sets):
        return False
    here, there = wanted.unordered, found.unordered
    if here is None or there is None:
        return True
    return not (here[0].isdisjoint(there[1]) and there[0].isdisjoint(here[1]))


def _matched(wanted: PublishedFlows, found: PublishedFlows, order: int) -> int:
    needed, available = wanted.counts(order), found.counts(order)
    return sum([min(needed[flow], available[flow]) for flow in needed.keys() & available.keys()])
