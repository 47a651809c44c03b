"""From token ids to structure: scores, ancestors and data flow, token by token."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizer_families import CORPUS, FAMILIES, encode, family

from hf_structdistill.errors import InputError
from hf_structdistill.structure import Annotation, StructureAnnotator, TokenBytes, parse
from hf_structdistill.structure.alignment import AlignedPrograms, KindTables, Program
from hf_structdistill.structure.languages import get_language


def annotate(pieces: list[str], labels=None, special=(), **options):
    """Annotates the text that `pieces` make up, one token a piece."""
    table = TokenBytes([piece.encode() for piece in pieces], special)
    annotator = StructureAnnotator(table, **options)
    return annotator.annotate(list(range(len(pieces))), labels), annotator


def types(annotator, annotation, token):
    return [annotator.node_type_names[t] for t in annotation.ancestor_types[token] if t >= 0]


def flow(annotation):
    sources = [[s for s in row if s >= 0] for row in annotation.dataflow_sources.tolist()]
    return dict(zip(annotation.dataflow_uses.tolist(), sources, strict=True))


ADD = [
    "Add them.\n", "```", "python\n",                                                   # 0
    "def", " ad", "d", "(a", ", ", "b", "):\n", "    ",                                 # 3
    "# sum", "\n    ", "a", " +=", " b", "\n    ",                                      # 11
    "return", " [", "a", ", ", "1", "]", "\n", "```", "\n", "Bye", "</s>",              # 17
]  # fmt: skip
ADD_LABELS = [-100] + [1] * (len(ADD) - 1)


def test_readable_example():
    a, annotator = annotate(ADD, ADD_LABELS, special=[27], num_ancestors=2)
    # fmt: off
    assert a.code_mask.tolist() == [False] * 3 + [True] * 21 + [False] * 4
    assert a.structure_score.tolist() == [
        0, 0, 0,
        1, 1, 1, 1, 0.25, 1, 0.25, 0,             # def add(a, b):   names are defined, "(a" holds one of them
        0, 0, 1, 1, 1, 0,                         # # sum / a += b   comment and layout 0
        1, 0.25, 1, 0.25, 0.5, 0.25, 0,           # return [a, 1]
        0, 0, 0, 0,
    ]
    # fmt: on
    assert a.dataflow_uses.tolist() == [13, 15, 19]
    assert a.dataflow_sources.tolist() == [[6], [8], [13]]
    assert a.variable_positions.tolist() == [4, 6, 8, 13, 15, 19]
    assert (a.code_start, a.code_bytes, a.unparsed_bytes) == (3, 54, 0)
    assert types(annotator, a, 3) == ["function_definition", "module"]
    assert types(annotator, a, 4) == types(annotator, a, 5) == ["function_definition", "module"]
    assert types(annotator, a, 6) == ["parameters", "function_definition"]
    assert types(annotator, a, 14) == ["augmented_assignment", "expression_statement"]
    assert types(annotator, a, 21) == ["list", "return_statement"]
    assert types(annotator, a, 10) == types(annotator, a, 0) == types(annotator, a, 27) == []
    assert a.ancestor_types.max() < annotator.num_node_types == len(annotator.node_type_names)


def test_types_and_shapes():
    a, _ = annotate(ADD)
    assert a.structure_score.dtype == np.float32 and a.code_mask.dtype == bool
    for array in (a.ancestor_types, a.dataflow_uses, a.dataflow_sources, a.variable_positions):
        assert array.dtype == np.int64
    assert a.ancestor_types.shape == (len(ADD), 4)
    nothing, _ = annotate(["Hello there, friend."])
    assert nothing.dataflow_uses.shape == (0,) and nothing.dataflow_sources.shape == (0, 0)
    assert nothing.variable_positions.shape == (0,)
    assert (nothing.code_start, nothing.code_bytes) == (-1, 0) and not nothing.structure_score.any()
    empty, _ = annotate([])
    assert empty.ancestor_types.shape == (0, 4)


@pytest.mark.parametrize("pieces, code", [
    # everything supervised, and no line break beside the tokens of the roles
    (["<|user|>", "Write f.", "<|assistant|>", "```python\n", "x", " = ", "1", "\n", "```", "<|end|>"], [4, 5, 6, 7]),
    (["```\n", "x", " = ", "1", "\n", "```", "<|end|>", "<|user|>", "Thanks! x = 2", "<|end|>"], [1, 2, 3, 4]),
    (["<|user|>", "Write f.", "<|assistant|>", "x", " = ", "1", "<|end|>"], [3, 4, 5]),
])  # fmt: skip
def test_a_special_token_ends_a_text(pieces, code):
    a, _ = annotate(pieces, special=[n for n, piece in enumerate(pieces) if piece.startswith("<|")])
    assert a.code_mask.nonzero()[0].tolist() == code
    assert a.unparsed_bytes == 0 and a.code_bytes == sum(len(pieces[n]) for n in code)


def test_only_supervised_tokens_carry_structure():
    pieces = ["```\n", "x", " = ", "1", "\n```\n", "```\n", "y", " = ", "x", "\n```"]
    a, _ = annotate(pieces, [-100] * 5 + [0] * 5)
    assert a.code_mask.tolist() == [False] * 6 + [True] * 4
    assert a.code_start == 6 and a.variable_positions.tolist() == [6]  # x is defined elsewhere


def test_turns_of_an_assistant_are_texts_of_their_own():
    """An open fence of one turn does not swallow the next one."""
    pieces = ["```\n", "x", " = 1\n", "USER", "and ", "more: ", "words", "\n```python\n", "y", " = 2\n", "```"]
    a, _ = annotate(pieces, [0, 0, 0, -100, 0, 0, 0, 0, 0, 0, 0])
    assert np.flatnonzero(a.code_mask).tolist() == [1, 2, 8, 9]
    assert a.variable_positions.tolist() == [1, 8]


def test_each_region_is_a_program_of_its_own():
    a, _ = annotate(["```\n", "x", "=1", "\n```\n", "```\n", "print", "(", "x", ")", "\n```"])
    assert a.dataflow_uses.tolist() == []
    b, _ = annotate(["```\n", "x", "=1", "\n", "print", "(", "x", ")", "\n```"])
    assert flow(b) == {6: [1]}


def test_a_use_in_the_token_of_its_definition_is_dropped():
    a, _ = annotate(["```\n", "x=1;y=x", ";", "z", "=", "y", "\n```"])
    assert flow(a) == {5: [1]}
    assert a.variable_positions.tolist() == [1, 3, 5]


def test_uses_that_share_a_token_share_its_sources():
    a, _ = annotate(["```\n", "x", "=", "y", "=", "1", "\n", "z=", "x+y", "\n```"])
    assert flow(a) == {8: [1, 3]}


def test_definitions_later_in_the_text_are_left_out():
    pieces = ["```\n", "s", " = ", "0", "\n", "for", " i", " in", " r", ":\n    ", "s", " +=", " i", "\n```"]
    assert flow(annotate(pieces)[0]) == {10: [1], 12: [6]}
    pieces = [
        "```\n",
        "while",
        " t",
        "():\n    ",
        "if",
        " u",
        "():\n        ",
        "f",
        "(",
        "y",
        ")\n    ",
        "y",
        " = 1",
        "\n```",
    ]
    a, _ = annotate(pieces)
    assert flow(a) == {} and a.structure_score[9] == 1  # it has a reaching definition all the same


def test_tokens_that_straddle_the_fence_lines():
    a, annotator = annotate(["``", "`python\nif", " x", "()", ":\n ", " y", " = 1\n`", "``"], num_ancestors=1)
    assert a.code_mask.tolist() == [False] + [True] * 6 + [False]
    assert a.structure_score.tolist() == [0, 1, 0.5, 0.25, 0.25, 1, 1, 0]
    assert types(annotator, a, 1) == ["if_statement"] and a.code_start == 1
    blank, annotator = annotate(["```", "python\n  ", "x", " = 1", "\n```"], num_ancestors=1)
    assert blank.code_mask.tolist() == [False, True, True, True, True]
    assert types(annotator, blank, 1) == types(annotator, blank, 4) == []


def test_docstrings_score_nothing_but_other_strings_do():
    pieces = ["```\n", "def f", "():\n    ", '"""', "Doc", " ", "x", '"""', "\n    "]
    pieces += ["return ", "'", "a", " ", "b", "'", "\n```"]
    a, annotator = annotate(pieces)
    assert a.structure_score[3:8].tolist() == [0] * 5
    assert a.structure_score[10:15].tolist() == [0.5] * 5  # the space inside a string is content
    assert types(annotator, a, 12)[0] == "string" and types(annotator, a, 8) == []


def test_backticks_are_no_docstring_whatever_quotes_stand_elsewhere():
    for tail in ("y = 1", "y = ''"):
        a, _ = annotate(["```\n", "`x`", "\n", tail, "\n```"])
        assert a.structure_score[1] == 0.5


def test_white_space_in_a_string_with_escapes_is_content():
    a, annotator = annotate(["```\n", "x = ", "'", "a\\n", "  ", "b\\n", "'", "\n```"])
    assert a.structure_score[4] == 0.5 and types(annotator, a, 4)[0] == "string"


def test_only_named_ancestors_count():
    a, annotator = annotate(["```\n", "x = 1", "\ny = x", " is", " not", " None", "\n```"], num_ancestors=2)
    assert types(annotator, a, 3) == types(annotator, a, 4) == ["comparison_operator", "assignment"]


def test_below_an_error_there_is_no_structure():
    pieces = ["```\n", "x", " = ", "1", "\n", "y", " =", " =", " 2", "\n", "z", " = ", "x", "\n", "```"]
    a, annotator = annotate(pieces)
    assert a.unparsed_bytes == 1  # the second =
    assert a.structure_score[6:8].tolist() == [1, 0] and a.code_mask[7]
    assert types(annotator, a, 6) == ["assignment", "expression_statement", "module"] and types(annotator, a, 7) == []
    assert flow(a) == {12: [1]} and a.structure_score[1] == 1
    broken, annotator = annotate(["```\n", "def", " (", "x", ")) ]", "\n", "```"])
    assert broken.code_mask.sum() == 5 and not broken.structure_score.any() and not broken.variable_positions.size
    assert (broken.ancestor_types == -100).all() and broken.unparsed_bytes == broken.code_bytes - 1


def test_truncated_code_is_read_up_to_the_cut():
    pieces = ["```\n", "def f(", "x", "):\n", "  y", " = ", "x\n", "  return", " [", "(", "y", ",\n"]
    a, annotator = annotate(pieces)
    assert flow(a) == {6: [2]} and types(annotator, a, 6)[:2] == ["assignment", "expression_statement"]
    assert a.code_mask[1:].all() and not a.structure_score[7:].any() and types(annotator, a, 10) == []
    assert (a.code_bytes, a.unparsed_bytes) == (32, len("  return [(y,\n"))
    closed, _ = annotate([*pieces, "```"])  # the model said that this is all
    assert flow(closed) == {} and closed.unparsed_bytes > a.unparsed_bytes


def test_a_completion_that_is_code():
    a, _ = annotate(["x", " =", " 1", "\n", "print", "(", "x", ")", "</s>"], special=[8])
    assert a.code_mask.tolist() == [True] * 8 + [False] and flow(a) == {6: [0]}
    prose, _ = annotate(["Set", " x", " to", " 1", " and", " print", " it.", "</s>"], special=[7])
    assert prose.code_start == -1
    other, _ = annotate(["```bash\n", "x", "=1", "\n```"])
    assert other.code_start == -1


def test_bare_code_that_was_cut_off():
    pieces = ["def", " f", "(x", "):\n", "  y", " = ", "x", "\n", "  return", " [", "(", "</s>"]
    cut, _ = annotate(pieces[:-1])
    assert flow(cut) == {6: [2]} and cut.code_mask.all()
    ended, _ = annotate(pieces, special=[11])
    assert ended.code_start == -1  # the model said it is finished, and it does not parse


def test_a_special_token_behind_the_fence_does_not_hide_it():
    a, _ = annotate(["```\n", "x", " = 1", "\n", "```", "</s>", "</s>"], special=[5, 6])
    assert np.flatnonzero(a.code_mask).tolist() == [1, 2, 3] and a.unparsed_bytes == 0


def assert_same(one, other):
    for name in Annotation.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_batch_gives_what_each_segment_gives_alone():
    segments = [list(range(len(ADD))), [], [27], list(range(3, 24)), [1, 13, 14, 15, 1], [0, 26]]
    labels = [ADD_LABELS, [], [-100], [0] * 21, [0, 0, 0, 0, 0], [-100, -100]]
    table = TokenBytes([piece.encode() for piece in ADD], [27])
    annotator = StructureAnnotator(table)
    batch = annotator.annotate_batch(segments, labels)
    assert len(batch) == len(segments) and annotator.annotate_batch([]) == []
    for ids, row, together in zip(segments, labels, batch, strict=True):
        assert_same(annotator.annotate(ids, row), together)
    assert [a.code_bytes > 0 for a in batch] == [True, False, False, True, False, False]


def test_labels_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"\(3,\).*\(2,\)"):
        annotate(["a", "b", "c"], [1, 2])
    with pytest.raises(InputError, match="num_ancestors"):
        annotate([], num_ancestors=-1)


def test_a_language_without_data_flow_still_has_scores_and_ancestors():
    pytest.importorskip("tree_sitter_java")
    a, annotator = annotate(
        ["```java\n", "class A {", " int", " f", "() {", " return", " 1", "; } }", "\n```"], language="java"
    )
    assert a.structure_score[5] == 1 and types(annotator, a, 6)[0] == "return_statement"
    assert a.variable_positions.size == 0


def test_node_types_do_not_depend_on_the_table():
    first, second = (StructureAnnotator(TokenBytes([b"x"] * n)) for n in (1, 2))
    assert first.node_type_names == second.node_type_names == sorted(set(first.node_type_names))
    assert {"function_definition", "block", "if_statement"} <= set(first.node_type_names)


SNIPPETS = [
    *CORPUS[:11],
    "\n",
    "\r\n",
    "\t",
    "    ",
    " ",
    "s = '🤖👩‍👩‍👧 漢字\\n  \\t'\n",
    "変数 = 漢 + 1\r\n",
    "if x:\n\ty = (a[0]), {1: 2}\n",
    'f"a {x!r:>{w}} b"\n',
    "def g(*, k=1) -> int:\n    '''d\n    d'''\n    return k\n",
    "x += y if z else w\n",
    "not in is not\n",
    "(((",
    "]]",
    "'",
    '"""',
    "\\\n",
    "\ufeff",
    "@",
    "`",
]
sources = st.lists(st.sampled_from(SNIPPETS), max_size=6).map("".join)
NAMES = ["gpt2", "llama3", "llama2", "metaspace", "unigram", "tekken"]
KINDS = KindTables(get_language("python"))


def smallest_nodes(tree) -> list[int]:
    """The smallest node over each byte, found by painting: children come after their parents and paint over them."""
    painted = [-1] * len(tree.source)
    for i in range(len(tree)):
        painted[tree.starts[i] : tree.ends[i]] = [i] * (tree.ends[i] - tree.starts[i])
    return painted


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(source=sources)
@example(
    source="    return resultif x:\n\ty = (a[0])\n    def push(self): self.append(item)"
)  # ERROR that starts blank
def test_the_node_of_a_token_is_the_smallest_over_its_first_solid_byte(name, source):
    table = TokenBytes.from_tokenizer(family(name))
    ids = encode(family(name), "```\n" + source)
    text, offsets, blanks = table.text_of(ids)
    start = text.index(b"\n") + 1
    if start == len(text):
        return
    tree = parse(text[start:])
    aligned = AlignedPrograms([Program(tree, start, len(text))], text, offsets, blanks, KINDS)
    painted = smallest_nodes(tree)
    for token, node in zip(aligned.tokens.tolist(), aligned.nodes.tolist(), strict=True):
        span = range(max(offsets[token], start) - start, offsets[token + 1] - start)
        solid = [b for b in span if tree.source[b : b + 1].strip()]
        anchor = (solid or [*span])[0]
        expected = painted[anchor]
        if expected >= 0 and "ERROR" in map(tree.kind_name, [expected, *tree.ancestors(expected)]):
            expected = -1
        is_content = expected >= 0 and tree.kind_name(expected) == "string_content"
        is_layout = not solid and not is_content and (expected < 0 or tree.children(expected))
        assert node == (-1 if is_layout else expected)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(source=sources)
def test_ancestors_and_scores_follow_the_tree(name, source):
    tokenizer = family(name)
    table = TokenBytes.from_tokenizer(tokenizer)
    annotator = StructureAnnotator(table, num_ancestors=3)
    ids = encode(tokenizer, "```py\n" + source + "\n```\n")
    text, offsets = table.bytes_of(ids), table.offsets(ids)
    start, stop = text.index(b"\n") + 1, text.rindex(b"```")
    a = annotator.annotate(ids)
    if b"```" in text[start:stop]:
        return
    tree = parse(text[start:stop])
    painted = smallest_nodes(tree)
    for token in range(len(ids)):
        span = range(max(offsets[token], start) - start, min(offsets[token + 1], stop) - start)
        assert a.code_mask[token] == (len(span) > 0)
        solid = [b for b in span if tree.source[b : b + 1].strip()]
        if not solid:
            continue
        node = painted[solid[0]]
        up = [i for i in tree.ancestors(node) if tree.is_named(i)] if node >= 0 else []
        names = [tree.kind_name(i) for i in up]
        broken = "ERROR" in [*names, tree.kind_name(node)]
        assert types(annotator, a, token) == ([] if broken else names[:3])
    assert (a.structure_score >= 0).all() and (a.structure_score <= 1).all()
    assert not a.structure_score[~a.code_mask].any()


@pytest.mark.parametrize("name", ["gpt2", "llama2", "unigram"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_annotation_never_fails_and_points_backwards(name, data):
    tokenizer = family(name)
    table = TokenBytes.from_tokenizer(tokenizer)
    fragments = st.sampled_from(["```python\n", "```", "\n", *SNIPPETS]).map(lambda text: encode(tokenizer, text))
    noise = st.lists(st.integers(-5, len(table) + 5), max_size=5)
    ids = sum(data.draw(st.lists(st.one_of(fragments, noise), max_size=12)), [])
    labels = data.draw(st.none() | st.lists(st.sampled_from([-100, 7]), min_size=len(ids), max_size=len(ids)))
    a = StructureAnnotator(table).annotate(np.array(ids, dtype=np.int64), labels)
    assert 0 <= a.unparsed_bytes <= a.code_bytes
    for use, sources in flow(a).items():
        assert sources and sources == sorted(set(sources)) and sources[-1] < use
        assert {use, *sources} <= set(a.variable_positions.tolist())
        assert a.code_mask[[use, *sources]].all() and (a.structure_score[[use, *sources]] == 1).all()
    if labels is not None:
        assert not a.code_mask[np.array(labels, dtype=int) == -100].any()


@settings(max_examples=40, deadline=None)
@given(sources=st.lists(sources, max_size=4), bare=st.booleans())
def test_a_batch_of_any_programs_gives_what_each_gives_alone(sources, bare):
    table = TokenBytes.from_tokenizer(family("gpt2"))
    annotator = StructureAnnotator(table)
    texts = sources if bare else [f"```\n{source}\n```\n" for source in sources]
    segments = [encode(family("gpt2"), text) for text in texts]
    for ids, together in zip(segments, annotator.annotate_batch(segments), strict=True):
        assert_same(annotator.annotate(ids), together)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_tokenizer_sees_the_same_data_flow(name):
    """Uses and definitions by the line they stand on, whatever the tokens are."""
    source = (
        "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n"
    )
    table = TokenBytes.from_tokenizer(family(name))
    ids = encode(family(name), f"```python\n{source}```\n")
    a = StructureAnnotator(table).annotate(ids)
    line = [table.bytes_of(ids[: token + 1]).rstrip().count(b"\n") for token in range(len(ids))]
    found = sorted((line[use], sorted(line[source] for source in sources)) for use, sources in flow(a).items())
    assert found == [(3, [1]), (4, [2]), (4, [3]), (5, [2, 4])]
    assert (a.code_bytes, a.unparsed_bytes) == (len(source), 0)
