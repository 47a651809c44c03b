"""A second opinion on scopes: the names of every scope, against the symtable module of the running Python.

The suite compares a fixed sample of the standard library; STRUCTDISTILL_FULL=1 compares every module that compiles.
"""

import os
import re
import symtable
import sysconfig
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.structure import analyse_dataflow, parse
from hf_structdistill.structure.scopes import scope_table

STDLIB = Path(sysconfig.get_paths()["stdlib"])
FULL = os.environ.get("STRUCTDISTILL_FULL") == "1"


def modules() -> list[Path]:
    found = sorted(path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts)
    return found if FULL else found[7::60]


def mangled(name: str, classes: list[str]) -> str:
    """https://docs.python.org/3/reference/expressions.html#private-name-mangling"""
    if classes and name.startswith("__") and not name.endswith("__") and "." not in name:
        stripped = classes[-1].lstrip("_")
        return f"_{stripped}{name}" if stripped else name
    return name


def theirs(table) -> dict[str, str]:
    """Names of a symtable table: local, cell, free or global. `.0` and `__class__` are the compiler's own."""
    captured = captured_by(table)
    names = {}
    for symbol in table.get_symbols():
        name = symbol.get_name()
        if name.startswith(".") or name == "__class__":
            continue
        bound = symbol.is_assigned() or symbol.is_imported()
        if table.get_type() == "module" and symbol.is_declared_global():
            bound = True  # a variable of the module because some function declares it global
        if symbol.is_free():
            names[name] = "free"
        elif bound if table.get_type() == "module" else symbol.is_local():
            names[name] = "cell" if name in captured and table.get_type() == "function" else "local"
        else:
            names[name] = "global"
    return names


def captured_by(table) -> set[str]:
    """Names that scopes inside a table take from it or from further out; classes pass them through unlisted."""
    names = set()
    for child in table.get_children():
        names |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_free()}
        if child.get_type() == "class":
            names |= captured_by(child)
    return names


def disagreements(source: bytes) -> tuple[list[str], int]:
    """Scopes and names on which the two tables differ, and the number of names compared."""
    tree = parse(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        root = symtable.symtable(source, "module", "exec")
    postponed = re.search(rb"^from __future__ import annotations", source, re.MULTILINE) is not None
    ours = scope_table(tree, annotations=not postponed)
    children = defaultdict(list)
    for index, entry in enumerate(ours):
        children[entry.scope.parent].append(index)
    found, count = [], 0
    stack = [(0, root, [])]
    while stack:
        index, table, classes = stack.pop()
        entry = ours[index]
        where = f"{entry.scope.kind} {entry.scope.name} line {table.get_lineno()}"
        if entry.scope.kind == "class":
            classes = [*classes, entry.scope.name]
        mine = {mangled(n, classes): kind for n, kind in entry.names.items() if n != "__class__"}
        other = theirs(table)
        count += len(other)
        found += [
            f"{where}: {name!r} is {mine.get(name)} here, {other.get(name)} in symtable"
            for name in sorted({*mine, *other})
            if mine.get(name) != other.get(name)
        ]
        their_children = sorted(table.get_children(), key=key_of_table)
        my_children = sorted(children[index], key=lambda i: key_of_scope(ours[i].scope, source))
        keys = [key_of_scope(ours[i].scope, source) for i in my_children]
        if keys != [key_of_table(t) for t in their_children]:
            found.append(f"{where}: scopes {keys} here, {[key_of_table(t) for t in their_children]} in symtable")
            continue
        stack += [(i, t, classes) for i, t in zip(my_children, their_children, strict=True)]
    return found, count


def key_of_table(table) -> tuple[int, str]:
    is_comprehension = any(symbol.get_name() == ".0" for symbol in table.get_symbols())
    return table.get_lineno(), "comprehension" if is_comprehension else table.get_name()


def key_of_scope(scope, source: bytes) -> tuple[int, str]:
    name = scope.name or scope.kind
    return source.count(b"\n", 0, scope.start) + 1, name


def compiles(source: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "module", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def test_stdlib_scopes_agree_with_symtable():
    found, names, files = [], 0, 0
    for path in modules():
        source = path.read_bytes()
        if not compiles(source) or parse(source).has_error:
            continue  # the grammar cannot read a line that ends in a dot inside parentheses (test/test_compile.py)
        problems, count = disagreements(source)
        found += [f"{path.relative_to(STDLIB)}: {problem}" for problem in problems]
        names += count
        files += 1
    assert not found, f"{len(found)} of {names} names in {files} files:\n" + "\n".join(found[:40])
    assert names > 5000


def test_the_graph_puts_each_variable_in_the_scope_of_the_table():
    """Owners of occurrences come from the data flow's own resolution, not from the table."""
    for path in modules()[::5]:
        tree = parse(path.read_bytes())
        flow = analyse_dataflow(tree)
        table = scope_table(tree)
        assert [entry.scope for entry in table] == flow.scopes
        for occurrence in flow.occurrences:
            assert table[occurrence.scope].names.get(occurrence.name) in ("local", "cell"), (path, occurrence)


def test_scope_table_is_for_python_only():
    with pytest.raises(InputError, match="expected a Python tree, got java"):
        scope_table(parse("class A {}", "java"))
