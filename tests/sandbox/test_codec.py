"""The codec: what crosses arrives as it was, and no bytes whatever do more than be refused."""

from __future__ import annotations

import collections
import decimal
import fractions
import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.sandbox import codec
from hf_structdistill.sandbox.channel import Channel, ChannelError
from hf_structdistill.sandbox.codec import CodecError, Decoder, Encoder, changed, dumps, loads, snapshot


def opaque(value):
    return ["h", 7, type(value).__name__]


def across(value):
    drained: dict = {}
    for long_ints in (False, True):
        wire = Encoder(opaque, None, long_ints, drained).wire(value)
        try:
            return Decoder(lambda number, name: (number, name)).value(loads(dumps(wire)))
        except ValueError:
            if long_ints:
                raise
    raise AssertionError


def same(a, b) -> bool:
    """Equal, of the same types all through, NaN equal to NaN and 0.0 not to -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    return a == b


HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE | st.floats() | st.complex_numbers() | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_plain_values_arrive_as_they_were(value):
    assert same(across(value), value)


def test_shared_and_circular_containers_stay_so():
    inner = [1]
    outer = [inner, inner]
    outer.append(outer)
    result = across(outer)
    assert result[0] is result[1] and result[2] is result
    result[0].append(2)
    assert result[1] == [1, 2]


class LiarInt(int):
    __eq__ = lambda self, other: True  # noqa: E731
    __hash__ = int.__hash__


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (LiarInt(5), 5),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.OrderedDict(a=[1]), {"a": [1]}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.namedtuple("P", "x y")(1, 2), (1, 2)),
        (type("S", (str,), {})("x"), "x"),
        (type("L", (list,), {"__iter__": lambda self: iter("lies")})([1]), [1]),
        (type("F", (float,), {})("-0.0"), -0.0),
    ],
)
def test_subclasses_cross_as_the_plain_value_below(value, plain):
    assert same(across(value), plain)


def test_other_builtins_cross_as_they_are():
    for value in (range(1, 9, 3), collections.deque([1, [2]]), decimal.Decimal("1.50"), fractions.Fraction(1, 3), int):
        assert across(value) == value and type(across(value)) is type(value)
    assert across({1: 2}.keys()) == {1} and list(across({1: 2}.values())) == [2]
    assert across(10**20000) == 10**20000
    assert across([10**20000, "x"]) == [10**20000, "x"]


def test_iterators_are_drained_and_stay_iterators():
    result = across(n * n for n in range(3))
    assert result != [0, 1, 4] and list(result) == [0, 1, 4]
    assert list(across(map(str, [1, 2]))) == ["1", "2"]


def test_a_second_encoder_finds_what_the_first_has_drained():
    result = across(n for n in (1, 10**20000, 3))
    assert list(result) == [1, 10**20000, 3]


def test_an_iterator_of_ever_larger_items_is_cut_by_their_size():
    def doubling(items):
        while True:
            yield items
            items = items + items

    for start in (1, "x", [0], (0,)):
        result = across(doubling(start) if start != 1 else (1 << (1 << n) for n in itertools.count()))
        assert len(next(result)) if start != 1 else next(result) == 2
        with pytest.raises(CodecError, match="too large"):
            for _ in result:
                pass
    assert [len(text) for text in across(iter(["x" * 9_000_000]))] == [9_000_000]


def test_an_endless_iterator_is_cut_and_says_so():
    result = across(iter(int, 1))
    with pytest.raises(CodecError, match="more than"):
        for _ in result:
            pass


def test_anything_else_is_opaque():
    assert across([object(), len]) == [(7, "object"), (7, "builtin_function_or_method")]


def test_depth_and_size_are_bounded():
    deep: list = []
    for _ in range(codec.MAX_DEPTH + 5):
        deep = [deep]
    with pytest.raises(CodecError, match="deeply"):
        across(deep)
    twice: tuple = ()
    for _ in range(60):
        twice = (twice, twice)
    with pytest.raises(CodecError, match="large"):
        across(twice)
    with pytest.raises(CodecError, match="containers"):
        loads(b"[" * (codec.MAX_NODES + 1))
    for wire in (["F", "1e3"], ["F", 0.5], ["F", 1], ["F", "1", 2], ["F", 1, 0]):
        with pytest.raises(CodecError):
            Decoder(opaque).value(wire)
    with pytest.raises(CodecError, match="digits"):
        Decoder(opaque).value(["i", "f" * (codec.MAX_HEX + 1)])


@settings(max_examples=200, deadline=None)
@given(VALUES | st.lists(st.text(alphabet='["\\\\')))
def test_brackets_are_counted_outside_strings_only(value):
    data = dumps(["v", Encoder(opaque, None, True).wire(value)])
    count = arrays(json.loads(data))
    with pytest.MonkeyPatch.context() as patch:
        for bound in (count, count - 1):
            patch.setattr(codec, "MAX_NODES", bound)
            assert codec.too_many(data) == (bound < count)


def arrays(wire) -> int:
    return 1 + sum(map(arrays, wire)) if type(wire) is list else 0


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from([*"ltsfdbacirhyekvnqgDF", "int", "0x1", "xyz"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=15,
)


@settings(max_examples=500, deadline=None)
@given(JSON)
def test_no_wire_tree_does_more_than_be_refused(wire):
    decoder = Decoder(lambda number, name: (number, name), [[1], {2: 3}])
    try:
        decoder.value(json.loads(json.dumps(wire)))
    except CodecError:
        pass


@settings(max_examples=300, deadline=None)
@given(st.integers(-2, 3) | st.text(max_size=2), JSON)
def test_no_update_does_more_than_be_refused(number, wire):
    arguments = [[1], {2: 3}, {4}]
    decoder = Decoder(lambda number, name: (number, name), arguments)
    try:
        decoder.replace(number, wire)
    except CodecError:
        pass
    assert [type(item) for item in arguments] == [list, dict, set]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(data):
    try:
        loads(data)
    except CodecError:
        pass


def test_changed_containers_are_found_and_filled_in_place():
    mine = [[1, 2], {"a": [3]}, {5}]
    encoder = Encoder(opaque)
    theirs = Decoder(opaque)
    copies = theirs.value(loads(dumps(encoder.wire(mine))))
    before = snapshot(theirs.containers)
    copies[0].append(copies[1])
    copies[1]["a"].clear()
    copies[2].add(6)
    reply = Encoder(opaque, theirs.containers)
    updates = [[n, reply.contents(theirs.containers[n])] for n in changed(theirs.containers, before)]
    back = Decoder(opaque, encoder.containers)
    first, table, group = mine
    for number, wire in json.loads(json.dumps(updates)):
        back.replace(number, wire)
    assert mine == [[1, 2, {"a": []}], {"a": []}, {5, 6}]
    assert first[2] is table and mine[2] is group


def test_frames_of_impossible_length_are_refused():
    import os

    reader, writer = os.pipe()
    os.write(writer, b"\xff\xff\xff\xff")
    with pytest.raises(ChannelError):
        Channel(reader).receive()
    os.write(writer, b"\x00\x00\x00\x09half")
    os.close(writer)
    assert Channel(reader).receive() is None
    os.close(reader)
