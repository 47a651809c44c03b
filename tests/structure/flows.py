"""Marked sources: `x$1` is the name x at mark 1, and "2<1 4<1,3" says which definitions reach which uses."""

import re

from hf_structdistill.structure import analyse_dataflow, parse

MARK = re.compile(r"(\w+)\$(\d+)")


def unmark(source: str) -> tuple[str, dict[int, str]]:
    """The source without its marks, and the mark at each byte offset."""
    plain, marks, end = "", {}, 0
    for match in MARK.finditer(source):
        plain += source[end : match.start()]
        marks[len(plain.encode())] = match[2]
        plain += match[1]
        end = match.end()
    return plain + source[end:], marks


def spelled(source: str, pairs: str = "edges") -> str:
    """The edges (or assignments) of a marked source in the notation above; unmarked names appear as name@byte."""
    plain, marks = unmark(source)
    tree = parse(plain)
    assert not tree.has_error, plain
    flow = analyse_dataflow(tree)
    labels = [marks.get(o.start, f"{o.name}@{o.start}") for o in flow.occurrences]
    found = [(labels[i], [labels[j] for j in others]) for i, others in getattr(flow, pairs)]
    return canonical(" ".join(f"{left}<{','.join(right)}" for left, right in found))


def canonical(edges: str) -> str:
    """Edges in order of their marks, so that expectations may be written in any order."""
    split = [edge.split("<") for edge in edges.split()]
    return " ".join(
        f"{left}<{','.join(sorted(right.split(','), key=_order))}" for left, right in sorted(split, key=_order)
    )


def _order(item) -> tuple:
    text = item if isinstance(item, str) else item[0]
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


def check(source: str, edges: str) -> None:
    """Every def-use edge of the source is in `edges`, and the other way round."""
    assert spelled(source) == canonical(edges), unmark(source)[0]


def check_values(source: str, assignments: str) -> None:
    """Every (definition < uses it is computed from) pair of the source."""
    assert spelled(source, "assignments") == canonical(assignments), unmark(source)[0]


def definitions(source: str) -> list[str]:
    return [o.name for o in analyse_dataflow(parse(source)).occurrences if o.is_def]


def variables(source: str) -> list[str]:
    return [o.name for o in analyse_dataflow(parse(source)).occurrences]
