"""The closed codec: how plain values cross between the judge and the candidate.

What a candidate answers becomes a JSON text and JSON becomes a value; nothing on this path can execute anything,
whoever wrote the bytes. JSON scalars stand for themselves, everything else is an array that starts with a tag:

    l t s f d    list, tuple, set, frozenset, dict (keys and values in turn)
    b a c i      bytes and bytearray (hex), complex (two floats), an int too long for JSON (hex)
    r            the n-th mutable container of this exchange: shared references and cycles
    h            an opaque object of the candidate: (number, type name)
    y            a built-in type, by name
    e            an iterator, drained: (cut short?, items …)
    k v n        views of a dict: keys, values, items
    g q D F      range, deque, Decimal, Fraction

Instances of subclasses (Counter, namedtuple, an int with its own `__eq__`) cross as the plain value below them.

The other way, what the judge asks is trusted, and marshalled: arguments of `PLAIN` types as they are, others as the
same trees.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from operator import is_

from .channel import MAX_FRAME

TYPE_CHECKING = False  # `typing` itself would cost the start of every worker
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 100
MAX_NODES = 500_000  # containers in one message
MAX_ITEMS = 100_000  # drained from one iterator
MAX_DRAINED = 8_000_000  # characters of them, about
MAX_HEX = 4_000_000  # characters of one long integer

SCALARS = {type(None), bool, int, float, str}
PLAIN = {*SCALARS, list, tuple, dict, set, frozenset, bytes, complex}  # what `marshal` brings across as it was
MUTABLE = (list, dict, set, deque, bytearray)
TYPES = {t.__name__: t for t in (*SCALARS, object, type, complex, bytes, bytearray, list, tuple, dict, set, frozenset)}
TYPE_NAMES = {t: name for name, t in TYPES.items()}
_VIEWS: dict[Any, str] = {type({}.keys()): "k", type({}.values()): "v", type({}.items()): "n"}
BASES: tuple[Any, ...] = (int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, deque)


class CodecError(ValueError):
    """A value that may not cross, or bytes that are no value."""


def size(value: Any, enough: int) -> int:
    """Number of elements in nested containers, counted no further than `enough`."""
    total, ahead = 0, [value]
    while ahead and total < enough:
        item = ahead.pop()
        if isinstance(item, (list, tuple, set, frozenset, dict)):
            total += len(item)
            parts = item.values() if isinstance(item, dict) else item
            if not set(map(type, parts)) <= SCALARS:
                ahead += [part for part in parts if type(part) not in SCALARS]
    return total


_dump = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


_digits: Callable[[], int] = getattr(sys, "get_int_max_str_digits", lambda: DIGITS)  # not in the first 3.10
DIGITS = 4300  # of an int as JSON: what Python reads, unless told otherwise


def dumps(wire: Any) -> bytes:
    """Wire tree to bytes. Raises ValueError where an int is too long for JSON (see `Encoder.long_ints`), also where
    the candidate has asked Python for more digits: the other side reads no more."""
    if (asked := _digits()) == DIGITS:
        return _dump(wire).encode("ascii")
    sys.set_int_max_str_digits(DIGITS)
    try:
        return _dump(wire).encode("ascii")
    finally:
        sys.set_int_max_str_digits(asked)


def loads(data: bytes) -> Any:
    """Bytes to wire tree, refused before it is built where it would be far larger than its text."""
    if too_many(data):
        raise CodecError(f"more than {MAX_NODES} containers")
    try:
        text = data.decode("ascii")
        wire, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration) as error:
        raise CodecError(f"not a message: {type(error).__name__}") from None
    if end != len(text):
        raise CodecError("not a message: something follows it")
    return wire


def too_many(data: bytes) -> bool:
    """More containers than may cross? Brackets inside strings are none."""
    if data.count(b"[") <= MAX_NODES:
        return False
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # no quote left but those around strings
    return sum(part.count(b"[") for part in bare.split(b'"')[::2]) > MAX_NODES


def crosses(value: Any) -> bool:
    """Would this value come across, if it were a candidate's answer? An iterator would, and is not used up here."""
    if hasattr(value, "__next__") or value is None or type(value) in (bool, float):
        return True
    for long_ints in (False, True):
        try:
            data = dumps(Encoder(lambda other: ["h", 0, ""], None, long_ints).wire(value))
            return len(data) < MAX_FRAME - 100 and not too_many(data)
        except CodecError:
            return False
        except ValueError:
            continue
    return False


def drain(iterator: Iterator[Any]) -> tuple[bool, list[Any]]:
    """The items left in an iterator, and whether there were more than the bounds."""
    items: list[Any] = []
    room = MAX_DRAINED
    for item in iterator:
        if room < 0 or len(items) == MAX_ITEMS:
            return True, items
        items.append(item)
        kind = type(item)
        if kind is int:
            room -= 2 * bits if (bits := item.bit_length()) > 64 else 20  # long ones take long to make
        elif kind is str:
            room -= len(item)
        elif kind not in SCALARS:
            room -= 8 * size(item, room // 8 + 1)
    return False, items


def mutable_containers(values: Any) -> list[Any] | None:
    """The lists, dicts and sets inside, each once, in the order of a walk; None where not all is of `PLAIN` types.

    Both sides walk alike, so a container has the same number on either.
    """
    found: list[Any] = []
    ahead, seen = [values], set()
    while ahead:
        item = ahead.pop()
        for parts in (item, item.values()) if type(item) is dict else (item,):
            kinds = set(map(type, parts))
            if kinds <= SCALARS:
                continue
            if not kinds <= PLAIN:
                return None
            for part in parts:
                kind = type(part)
                if kind in SCALARS or kind is bytes or kind is complex or id(part) in seen:
                    continue
                seen.add(id(part))
                ahead.append(part)
                if kind is list or kind is dict or kind is set:
                    found.append(part)
    return found


class Encoder:
    """Values to wire trees. One encoder a message, so that shared containers stay shared.

    Args:
        opaque: turns an object that is no plain value into a wire tree, or raises CodecError.
        seen: containers of the message that this one answers; they keep their numbers.
        drained: items of iterators by their id, from an encoder that did not get to its end.
    """

    def __init__(
        self,
        opaque: Callable[[Any], Any],
        seen: list[Any] | None = None,
        long_ints: bool = False,
        drained: dict[int, tuple[bool, list[Any]]] | None = None,
    ):
        self.opaque = opaque
        self.drained = {} if drained is None else drained
        self.long_ints = long_ints
        self.containers: list[Any] = list(seen or ())
        self._number = {id(item): i for i, item in enumerate(self.containers)}
        self._nodes = 0

    def wire(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if kind in SCALARS:
            if self.long_ints and kind is int and value.bit_length() > 8000:
                if value.bit_length() > 4 * MAX_HEX - 16:
                    raise CodecError("an integer of too many digits")
                return ["i", hex(value)]
            return value
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise CodecError("value nested too deeply" if depth > MAX_DEPTH else "value too large")
        if kind is tuple:
            return self._items("t", value, depth)
        if kind in MUTABLE:
            number = self._number.get(id(value))
            if number is not None:
                return ["r", number]
            return self.contents(value, depth)
        return self._rare(value, kind, depth)

    def contents(self, value: Any, depth: int = 0) -> Any:
        """The wire tree of a mutable container itself, also where its number is known already."""
        self._number.setdefault(id(value), len(self.containers))
        if self._number[id(value)] == len(self.containers):
            self.containers.append(value)
        if type(value) is dict:
            return self._items("d", [part for pair in value.items() for part in pair], depth)
        if type(value) is bytearray:
            return ["a", value.hex()]
        return self._items("l" if type(value) is list else "s" if type(value) is set else "q", value, depth)

    def _items(self, tag: str, items: Any, depth: int) -> list[Any]:
        if not self.long_ints and set(map(type, items)) <= SCALARS:
            return [tag, *items]
        return [tag, *[self.wire(item, depth + 1) for item in items]]

    def _rare(self, value: Any, kind: type, depth: int) -> Any:
        if kind is bytes:
            return ["b", value.hex()]
        if kind is frozenset:
            return self._items("f", value, depth)
        if kind is complex:
            return ["c", value.real, value.imag]
        if kind is range:
            return ["g", *[self.wire(n) for n in (value.start, value.stop, value.step)]]
        if kind in _VIEWS:
            return self._items(_VIEWS[kind], list(value), depth)
        if kind.__module__ == "decimal" and kind.__name__ == "Decimal":
            return ["D", str(value)]
        if kind.__module__ == "fractions" and kind.__name__ == "Fraction":
            return ["F", self.wire(value.numerator), self.wire(value.denominator)]
        if isinstance(value, type):
            return ["y", TYPE_NAMES[value]] if value in TYPE_NAMES else self.opaque(value)
        if kind.__module__ in ("builtins", "itertools", "collections") and hasattr(kind, "__next__"):
            if id(value) not in self.drained:
                self.drained[id(value)] = drain(value)
            more, items = self.drained[id(value)]
            return ["e", more, *[self.wire(item, depth + 1) for item in items]]
        return self._subclass(value, depth)

    def _subclass(self, value: Any, depth: int) -> Any:
        for base in BASES:
            if issubclass(type(value), base):  # type(), not isinstance: __class__ can lie
                if base is dict:
                    return self.wire({key: dict.__getitem__(value, key) for key in dict.__iter__(value)}, depth)
                if base in (int, float, complex):
                    return self.wire(base.__pos__(value), depth)
                if base is str:
                    return str.__str__(value)
                return self.wire(base(base.__iter__(value)), depth)
        return self.opaque(value)


_KINDS: dict[Any, Callable[[], Any]] = {"l": list, "s": set, "d": dict, "q": deque, "a": bytearray}


class Decoder:
    """Wire trees to values. Everything that is not exactly as the encoder writes it raises CodecError.

    Args:
        handle: turns (number, type name) of an opaque object into what stands for it on this side.
        seen: containers of the message that is being answered, in their order.
    """

    def __init__(self, handle: Callable[[int, str], Any], seen: list[Any] | None = None):
        self.handle = handle
        self.containers: list[Any] = list(seen or ())

    def value(self, wire: Any) -> Any:
        try:
            return self._value(wire, 0)
        except CodecError:
            raise
        except (TypeError, ValueError, IndexError, KeyError, ArithmeticError, RecursionError) as error:
            raise CodecError(f"not a value: {type(error).__name__}") from None

    def _value(self, wire: Any, depth: int) -> Any:
        if type(wire) in SCALARS:
            return wire
        if type(wire) is not list or depth > MAX_DEPTH:
            raise CodecError("not a value")
        tag, *rest = wire
        build = _MAKERS.get(tag)
        if build is not None:
            return build(self._items(rest, depth))
        if tag in _KINDS:
            return self._container(tag, rest, depth)
        if tag == "r":
            return self.containers[_index(rest[0])]
        if tag == "h":
            number, name = rest
            return self.handle(_index(number), _text(name))
        raise CodecError("not a value")

    def _items(self, rest: list[Any], depth: int) -> list[Any]:
        if set(map(type, rest)) <= SCALARS:
            return rest
        return [self._value(item, depth + 1) for item in rest]

    def _container(self, tag: str, rest: list[Any], depth: int) -> Any:
        made: Any = _KINDS[tag]()
        self.containers.append(made)  # before its items: they may refer to it
        self._fill(made, tag, rest, depth)
        return made

    def _fill(self, made: Any, tag: str, rest: list[Any], depth: int) -> None:
        if tag == "a":
            made.extend(bytes.fromhex(rest[0]))
            return
        items = self._items(rest, depth)
        if tag == "d":
            made.update(zip(items[::2], items[1::2], strict=True))
        elif tag == "s":
            made.update(items)
        else:
            made.extend(items)

    def replace(self, number: Any, wire: Any) -> None:
        """Give container `number` the contents that `wire` describes, in place."""
        try:
            target = self.containers[_index(number)]
            tag, *rest = wire
            if type(target) is not _KINDS[tag]:
                raise CodecError("a container changed its type")
            fresh = _KINDS[tag]()
            self._fill(fresh, tag, rest, 0)
        except (TypeError, ValueError, IndexError, KeyError, RecursionError) as error:
            raise CodecError(f"not a container: {type(error).__name__}") from None
        target.clear()
        target.update(fresh) if type(target) in (dict, set) else target.extend(fresh)


def _index(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise CodecError("not a number of an object")
    return number


def _text(text: Any) -> str:
    if type(text) is not str:
        raise CodecError("not a text")
    return text


def _long_int(items: list[Any]) -> int:
    text = _text(items[0])
    if len(text) > MAX_HEX:
        raise CodecError("an integer of too many digits")
    return int(text, 16)


def _drained(items: list[Any]) -> Iterator[Any]:
    more, *rest = items
    return _cut_short(rest) if more else iter(rest)


def _cut_short(items: list[Any]) -> Iterator[Any]:
    yield from items
    raise CodecError(f"an iterator with more than {MAX_ITEMS} items, or too large ones")


def _decimal(items: list[Any]) -> Any:
    from decimal import Decimal

    return Decimal(_text(items[0]))


def _fraction(items: list[Any]) -> Any:
    from fractions import Fraction

    if list(map(type, items)) != [int, int]:  # a text such as "1e400000000" is computed for minutes
        raise CodecError("not a fraction")
    return Fraction(*items)


_MAKERS: dict[Any, Callable[[list[Any]], Any]] = {
    "t": tuple,
    "f": frozenset,
    "b": lambda items: bytes.fromhex(items[0]),
    "c": lambda items: complex(*items),
    "i": _long_int,
    "y": lambda items: TYPES[items[0]],
    "e": _drained,
    "k": lambda items: dict.fromkeys(items).keys(),
    "v": lambda items: dict(enumerate(items)).values(),
    "n": lambda items: dict(items).items(),
    "g": lambda items: range(*items),
    "D": _decimal,
    "F": _fraction,
}


def snapshot(containers: list[Any]) -> list[list[Any]]:
    """Shallow contents of each container, to tell later which of them changed."""
    return [_shallow(item) for item in containers]


def changed(containers: list[Any], before: list[list[Any]]) -> list[int]:
    """Numbers of the containers whose contents are not the same objects in the same order any more."""
    return [
        number
        for number, (item, old) in enumerate(zip(containers, before, strict=True))
        if len(now := _shallow(item)) != len(old) or not all(map(is_, now, old))
    ]


def _shallow(item: Any) -> list[Any]:
    return [part for pair in item.items() for part in pair] if type(item) is dict else list(item)
