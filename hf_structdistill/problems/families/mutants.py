"""Programs one variable use away from a given one."""

from __future__ import annotations

from collections.abc import Iterator

from ...structure import analyse_dataflow, parse


def wrong_variable_mutants(source: str) -> Iterator[str]:
    """Yield `source` with one use reading another variable of its scope that is defined earlier in the text.

    The target of an assignment is no alternative within its own value. Uses are taken in the order of the text, and
    for each the other variables in the order of their first definition, so the mutants of a program come in a fixed
    order. Yields nothing where no use has an alternative.
    """
    flow = analyse_dataflow(parse(source))
    text = source.encode("utf-8", "surrogatepass")
    made_from = {definition: set(uses) for definition, uses in flow.assignments}
    for index, use in enumerate(flow.occurrences):
        if not use.is_use or use.is_def:
            continue
        earlier = dict.fromkeys(
            other.name
            for number, other in enumerate(flow.occurrences[:index])
            if other.is_def and other.scope == use.scope and index not in made_from.get(number, ())
        )
        for name in earlier:
            if name != use.name:
                mutant = text[: use.start] + name.encode("utf-8", "surrogatepass") + text[use.end :]
                yield mutant.decode("utf-8", "surrogatepass")
