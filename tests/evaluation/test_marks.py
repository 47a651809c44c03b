"""The places that the report marks: as many as strict mode counts, and the ones a reader would point at."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.evaluation.marks import mark_pair
from hf_structdistill.problems.extraction import extract_code
from hf_structdistill.scoring import score_pairs

REFERENCE = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
BRACKETS = "class A():\n    (a) = sum((d[(x, y)] for (x), y in xs))\n    match a:\n        case (1, 2) | (3): pass\n"
WRONG = "def total(xs):\n    s = 0\n    for x in xs:\n        s = x\n    return s\n"


def counted(pairs):
    """(matched subtrees, all, matched flows, all) of each pair, as strict mode counts them."""
    scores = score_pairs(*map(list, zip(*pairs, strict=True)), per_sample=True, floor_shuffles=0)
    keys = ("matched_per_sample", "total_per_sample")
    return list(zip(*[scores[metric][key] for metric in ("syntax", "dataflow") for key in keys], strict=True))


def marked(pair):
    prediction, reference = mark_pair(*pair)
    assert [sum(mark.matched for mark in marks) for marks in (prediction.subtrees, prediction.flows)] == [
        sum(mark.matched for mark in marks) for marks in (reference.subtrees, reference.flows)
    ]
    return tuple(
        count
        for marks in (reference.subtrees, reference.flows)
        for count in (sum(mark.matched for mark in marks), len(marks))
    )


def test_as_many_are_marked_as_strict_mode_matches(shared_data):
    codes = {row["task_id"]: row["code"] for row in map(json.loads, (shared_data / "mbpp.jsonl").open())}
    replies = list(map(json.loads, (shared_data / "teacher_responses.jsonl").open()))
    pairs = [(extract_code(row["response"]).code or "", codes[row["task_id"]]) for row in replies]
    generator = random.Random(0)
    pairs += [tuple(generator.sample(list(codes.values()), 2)) for _ in range(150)]
    pairs += [(BRACKETS, REFERENCE + BRACKETS), (REFERENCE, BRACKETS), ("", "x = ``a``")]
    pairs += [(a[: len(a) // 2], b[: 2 * len(b) // 3]) for a, b in pairs[:150]]  # what does not parse
    assert [marked(pair) for pair in pairs] == counted(pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*REFERENCE, *"if not in:[]()'\"#\n\t", "f'{x}'", "é", "日", BRACKETS]), max_size=60))
def test_any_text_is_marked_as_it_is_counted(pieces):
    pair = "".join(pieces), REFERENCE
    for one in (pair, pair[::-1]):
        assert [marked(one)] == counted([one])


def pointed_at(program, marks, matched):
    return {program.encode()[mark.start : mark.end].decode() for mark in marks if mark.matched is matched}


def test_the_marks_are_where_the_programs_differ():
    prediction, reference = mark_pair(WRONG, REFERENCE)
    assert "s += x" in pointed_at(REFERENCE, reference.subtrees, False)
    assert "s = x" in pointed_at(WRONG, prediction.subtrees, False)
    assert {"s = 0", "return s", "(xs)"} <= pointed_at(REFERENCE, reference.subtrees, True)
    missing = [(mark.start, mark.is_use) for mark in reference.flows if not mark.matched]
    assert (REFERENCE.index("s += x"), True) in missing  # the s that is added to
    (returned,) = [mark for mark in reference.flows if mark.start == REFERENCE.rindex("s") and mark.is_use]
    assert returned.sources == (REFERENCE.index("s = 0"), REFERENCE.index("s += x"))


def test_equal_items_are_marked_inside_what_matches():
    reference = "y = a + b\nz = [a + b, 1]\n"
    prediction, marks = mark_pair("z = [a + b, 1]\n", reference)
    hits = [mark for mark in marks.subtrees if mark.matched]
    assert all(mark.matched for mark in prediction.subtrees if mark.start or mark.end < 14)
    assert min(mark.start for mark in hits) == reference.index("z")


def test_nodes_that_brackets_alone_have_made_are_not_marked():
    (marks, _), program = mark_pair("d[(i, j)]", "d[i, j]"), "d[(i, j)]"
    assert [program[mark.start : mark.end] for mark in marks.subtrees] == [program] * 3  # module, statement, subscript
    assert all(mark.matched for mark in marks.subtrees)


def test_a_language_without_data_flow_has_its_syntax_marked():
    marks, _ = mark_pair("func f() int { return 1 }", "func g() int { return 2 }", "go")
    assert marks.flows == ()
    assert all(mark.matched for mark in marks.subtrees)
