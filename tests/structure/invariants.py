"""What holds for the tree and the data flow of any bytes whatsoever."""

from hf_structdistill.structure import DataFlow, SyntaxTree, analyse_dataflow, parse
from hf_structdistill.structure.scopes import scope_table


def check_anything(source: str | bytes) -> tuple[SyntaxTree, DataFlow]:
    """Parse and analyse without failing, then check every promise the types make."""
    tree = parse(source)
    check_tree(tree)
    flow = analyse_dataflow(tree)
    check_flow(tree, flow)
    assert analyse_dataflow(parse(source)) == flow
    assert [entry.scope for entry in scope_table(tree, annotations=False)] == flow.scopes
    return tree, flow


def check_tree(tree: SyntaxTree) -> None:
    count = len(tree)
    assert count >= 1
    assert {len(tree.starts), len(tree.ends), len(tree.parents), len(tree.last)} == {count}
    assert tree.parents[0] == -1
    assert tree.last[0] == count
    for i in range(count):
        assert 0 <= tree.starts[i] <= tree.ends[i] <= len(tree.source)
        assert i < tree.last[i] <= count
        if i:
            assert 0 <= tree.parents[i] < i < tree.last[tree.parents[i]]


def check_flow(tree: SyntaxTree, flow: DataFlow) -> None:
    names = flow.occurrences
    assert [o.start for o in names] == sorted({o.start for o in names})
    for o in names:
        assert 0 <= o.start < o.end <= len(tree.source)
        assert o.is_def or o.is_use
        assert 0 <= o.scope < len(flow.scopes)
    for use, sources in flow.edges:
        assert names[use].is_use
        assert sources
        assert list(sources) == sorted(set(sources))
        for source in sources:
            assert names[source].is_def
            assert names[source].name == names[use].name
            # A class body reads a name that it binds later from the module, and x[i] = v there changes it there.
            reads, makes = flow.scopes[names[use].scope], flow.scopes[names[source].scope]
            falls_back = reads.kind == "class" and names[source].scope == 0
            stores = makes.kind == "class" and names[source].is_use and reads.kind in ("class", "module")
            assert names[source].scope == names[use].scope or falls_back or stores
    for definition, uses in flow.assignments:
        assert names[definition].is_def
        assert uses
        assert all(names[use].is_use for use in uses)
    assert flow.scopes[0].parent == -1
    assert all(0 <= scope.parent < i for i, scope in enumerate(flow.scopes) if i)
