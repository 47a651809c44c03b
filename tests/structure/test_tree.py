"""The flat tree against tree-sitter's own nodes, and the language tables against the grammars."""

import subprocess
import sys

import pytest
import tree_sitter

from hf_structdistill.errors import InputError
from hf_structdistill.structure import LANGUAGES, Language, get_language, parse

SOURCES = {
    "python": "def f(a, *b):\n    '''doc'''\n    # why\n    return [x + 1 for x in b if x] + a\n",
    "java": "class A { int f(int a) { for (int i = 0; i < a; i++) { a += i; } return a; } }",
    "javascript": "function f(a) { let b = a => a + 1; return `${b(a)}`; }",
    "go": "package main\nfunc f(a int) int { for i := 0; i < a; i++ { a += i }; return a }\n",
    "rust": 'fn f(a: i32) -> i32 { let mut b = a; while b > 0 { b -= 1; } println!("{}", b); b }',
}


def nodes_in_preorder(root):
    stack = [(root, -1)]
    index = 0
    while stack:
        node, parent = stack.pop()
        yield node, parent
        stack.extend((child, index) for child in reversed(node.children))
        index += 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_flat_arrays_are_the_nodes_in_preorder(language):
    tree = parse(SOURCES[language], language)
    root = tree_sitter.Parser(tree.language.grammar).parse(tree.source).root_node
    assert not tree.has_error
    expected = list(nodes_in_preorder(root))
    assert len(tree) == len(expected) == root.descendant_count
    for i, (node, parent) in enumerate(expected):
        assert (tree.kinds[i], tree.starts[i], tree.ends[i]) == (node.kind_id, node.start_byte, node.end_byte)
        assert tree.parents[i] == parent
        assert tree.last[i] == i + node.descendant_count
        assert tree.kind_name(i) == node.type
        assert tree.is_named(i) == node.is_named
        assert tree.text(i) == node.text
        assert len(tree.children(i)) == node.child_count


@pytest.mark.parametrize("language", LANGUAGES)
def test_tables_name_node_types_of_the_grammar(language):
    found = get_language(language)
    assert found.name == language
    assert found.kind_ids(found.control_keywords | found.operators, named=False)
    assert found.kind_ids(found.identifiers | found.comments | found.strings | found.literals, named=True)
    with pytest.raises(KeyError, match="no node types"):
        found.kind_ids({"no_such_node"})


def test_missing_and_error_nodes_are_flagged():
    tree = parse("def f(:\n pass")
    assert tree.has_error
    assert [tree.kind_name(i) for i in tree.missing] == [")"]
    broken = parse("def = 3 3\n")
    assert broken.has_error
    assert "ERROR" in {broken.kind_name(i) for i in range(len(broken))}
    assert 65535 in broken.kinds


def test_ancestors_run_from_the_parent_to_the_root():
    tree = parse("f(x)")
    leaf = next(i for i in range(len(tree)) if tree.text(i) == b"x")
    assert [tree.kind_name(i) for i in tree.ancestors(leaf)] == [
        "argument_list",
        "call",
        "expression_statement",
        "module",
    ]


def test_offsets_are_bytes_of_the_utf8_text():
    tree = parse("café = '\ud800日本'  # \U0001f600\nx = café")
    assert tree.source == "café = '\ud800日本'  # \U0001f600\nx = café".encode("utf-8", "surrogatepass")
    names = [tree.text(i).decode() for i in range(len(tree)) if tree.kind_name(i) == "identifier"]
    assert names[-2:] == ["x", "café"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""module"""\nx = 1', ['"""module"""']),
        ("# c\n'one' 'two'\n'not this'\n", ["'one' 'two'"]),
        ("class A:\n    r'''raw'''\n    def f(self):\n        u'doc'\n        'no'\n", ["r'''raw'''", "u'doc'"]),
        ("def f():\n    f'{x}'\n", []),
        ("def f():\n    b'bytes'\n", []),
        ("`x`\n'not this'\n", []),
        ("'one' `x`\n", []),
        ("def f():\n    x = 'value'\n", []),
        ("if x:\n    'string'\n", []),
    ],
)
def test_docstrings_are_the_first_statements_that_are_plain_strings(source, expected):
    tree = parse(source)
    assert [tree.text(i).decode() for i in tree.docstrings] == expected


def test_languages_are_found_by_fence_name():
    assert get_language("py") is get_language("Python")
    assert get_language("js").name == "javascript"
    assert get_language(get_language("go")).name == "go"
    with pytest.raises(InputError, match="expected a language among go, java.*got 'cobol'"):
        get_language("cobol")


def test_missing_grammar_names_the_package_and_the_extra():
    python = get_language("python")
    absent = Language("cobol", "tree_sitter_cobol", ("cobol",), *[frozenset()] * 5)
    with pytest.raises(InputError, match=r"tree-sitter-cobol.*hf-structdistill\[languages\]"):
        _ = absent.grammar
    assert python.grammar is python.grammar


def test_structure_is_free_of_torch_and_numpy():
    code = (
        "import sys\nfrom hf_structdistill.structure import parse, analyse_dataflow\n"
        "analyse_dataflow(parse('x = 1\\ny = x'))\n"
        "sys.exit(bool({'torch', 'transformers', 'trl', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
