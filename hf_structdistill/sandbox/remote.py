"""The judge's view of the candidate: calls that return values, and handles for what is no plain value."""

from __future__ import annotations

import builtins
import marshal
import os
from collections.abc import Callable, Iterator, Sequence, Set
from reprlib import Repr

from .channel import Channel, ChannelError, framed
from .codec import BASES, SCALARS, CodecError, Decoder, Encoder, loads, mutable_containers
from .wires import MSG_DONTWAIT, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

TESTS = "__main__"  # the module of the tests: what they do as a script, they do here
PLAIN_NAMES = {name for kind in BASES for name in dir(kind)}  # what tests can ask a plain value for
_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 8


def short(value: Any) -> str:
    """A bounded one-line text of a value."""
    try:
        text = _short.repr(value)
    except (ValueError, RecursionError):
        text = f"<{type(value).__name__}>"
    return text.replace("\n", " ")[:200]


class CandidateGone(BaseException):
    """The candidate's process has ended or broken the protocol. No `except Exception` of a test swallows it."""


class CannotCross(BaseException):
    """A test hands the candidate an object of its own that is no plain value: the test cannot be judged."""


class CandidateRaised:
    """Marks exceptions that the candidate raised, beside the built-in class that they are re-raised as."""

    summary: str
    said = ""

    def __str__(self) -> str:
        return self.said


class Candidate:
    """One candidate, at the other end of `fd`. Nothing it answers can be more than a value."""

    def __init__(self, fd: int):
        self.channel = Channel(fd)
        self.broken: str | None = None
        self.last: Any = None
        self.calls = 0
        self.plain: set[str] = set()  # names that stand for plain values
        self.interface: Callable[[], Set[str]] = frozenset  # what the reference's classes define
        self._raised: dict[tuple[str, str], type] = {}

    def load(self, source: str, wanted: Sequence[str]) -> dict[str, Any]:
        """Run the program; those of the wanted names it defines. Raises what the program raised."""
        names = self.perform("load", -1, (source, list(wanted)))
        if type(names) is not dict or not set(names) <= set(wanted):
            self.gone("the candidate answered with what is no value")
        self.plain = {name for name, value in names.items() if type(value) is not Handle}
        return names

    def perform(self, operation: str, number: int, operands: tuple[Any, ...]) -> Any:
        """One operation on an object of the candidate's; arguments that it changed are changed here too."""
        containers = mutable_containers(operands)
        if containers is None:
            payload, containers = self._tree_request(operation, number, operands, True)
        else:
            payload = marshal.dumps((operation, number, True, operands, True))
        self._send(payload)
        answer = self._answer(containers)
        if operation != "load":
            self.last = answer
        return answer

    def call_each(self, function: Any, argument_lists: Sequence[Sequence[Any]]) -> Iterator[Any]:
        """Call once for each argument list, as many calls in flight as the socket takes; yields answers, raises at the
        first exception. These calls write nothing back.

        A write waits for the candidate only when no answer is due: else both sides could wait for the other to read.
        """
        if type(function) is not Handle:  # `f = set`: a built-in type is the judge's own
            yield from (function(*arguments) for arguments in argument_lists)
            return
        number = object.__getattribute__(function, "_number")
        wire = socket(fileno=os.dup(self.channel.fd))
        due = 0
        try:
            for arguments in argument_lists:
                left = framed(self._call_request(number, tuple(arguments)))
                while left := self._offer(wire, left, wait=not due):
                    yield from (self._answer([]) for _ in range(due))
                    due = 0
                due += 1
            yield from (self._answer([]) for _ in range(due))
        finally:
            wire.close()

    def _call_request(self, number: int, operands: tuple[Any, ...]) -> bytes:
        try:
            return marshal.dumps(("call", number, False, operands, True))
        except ValueError:
            return self._tree_request("call", number, operands, False)[0]

    def _offer(self, wire: socket, data: bytes, wait: bool) -> bytes:
        """Write what the socket takes now, or all where it may wait; what is left."""
        if self.broken:
            self.gone(self.broken)
        try:
            return data[wire.send(data, 0 if wait else MSG_DONTWAIT) :]
        except BlockingIOError:
            return data
        except OSError:
            self.gone("the candidate's process ended")

    def gone(self, why: str) -> NoReturn:
        self.broken = self.broken or why
        raise CandidateGone(self.broken)

    def _tree_request(
        self, operation: str, number: int, operands: tuple[Any, ...], write_back: bool
    ) -> tuple[bytes, list[Any]]:
        """A request whose operands hold handles, or types that only the tree knows."""
        encoder = Encoder(self._opaque)
        try:
            payload = marshal.dumps((operation, number, write_back, encoder.wire(operands), False))
        except CodecError as error:  # too large, too deep, cut short: it may be the candidate's doing
            raise self._exception("ValueError", "ValueError", f"an argument that cannot cross: {error}") from None
        return payload, encoder.containers

    def _opaque(self, value: Any) -> list[Any]:
        if type(value) is Handle and object.__getattribute__(value, "_owner") is self:
            return ["h", object.__getattribute__(value, "_number"), ""]
        if of_an_answer(value):
            raise CodecError(f"an object of type {type(value).__name__}")
        raise CannotCross(f"an argument of type {type(value).__name__}, which cannot cross to the candidate")

    def _send(self, payload: bytes) -> None:
        if self.broken:
            self.gone(self.broken)
        try:
            self.channel.send(payload)
        except OSError:
            self.gone("the candidate's process ended")

    def _answer(self, containers: list[Any]) -> Any:
        try:
            data = self.channel.receive()
        except ChannelError:
            self.gone("the candidate answered with what is no value")
        except OSError:
            data = None
        if data is None:
            self.gone("the candidate's process ended")
        try:
            value, error = self._read(loads(data or b""), containers)
        except CodecError as found:
            self.gone(f"the candidate answered with what is no value ({found})")
        except MemoryError:
            self.gone("the candidate's answer takes too much memory")
        self.calls += 1
        if error is not None:
            raise error
        return value

    def _read(self, message: Any, containers: list[Any]) -> tuple[Any, Exception | None]:
        if type(message) is not list:
            raise CodecError("no message")
        if message[:1] == ["v"] and len(message) == 3 and type(message[2]) is list:
            if type(message[1]) in SCALARS and not message[2]:
                return message[1], None
            decoder = Decoder(lambda number, name: Handle(self, number, name[:80]), containers)
            value = decoder.value(message[1])
            for update in message[2]:
                if type(update) is not list or len(update) != 2:
                    raise CodecError("no message")
                decoder.replace(*update)
            return value, None
        texts = message[1:4]
        if message[:1] == ["e"] and len(message) == 5 and all(type(text) is str for text in texts):
            if type(message[4]) is not list or not set(map(type, message[4])) <= SCALARS:
                raise CodecError("no message")
            name, base, text = (text[:500] for text in texts)
            return None, self._exception(name, base, text, message[4])
        texts = message[1:]
        if message[:1] == ["x"] and len(texts) == 1 and type(texts[0]) is str:
            return None, self._exception("ValueError", "ValueError", f"an answer that cannot cross: {texts[0][:200]}")
        raise CodecError("no message")

    def _exception(self, name: str, base: str, text: str, arguments: Sequence[Any] = ()) -> Exception:
        kind = self._raised.get((name, base))
        if kind is None:
            parent = getattr(builtins, base, None)
            if not (isinstance(parent, type) and issubclass(parent, Exception)) or base == "ExceptionGroup":
                parent = Exception  # a group is made of exceptions, which are no values
            name = name if name.isidentifier() else "Exception"
            # A UnicodeError's own wants more than a text.
            body = {"__init__": lambda self, *values: None} if issubclass(parent, UnicodeError) else {}
            kind = self._raised[name, base] = type(name, (CandidateRaised, parent), body)
        try:
            error = kind(*(arguments or filter(None, [text])))
        except Exception:  # these are not what the built-in class takes
            error = kind(text)
        error.said = text
        error.summary = f"{kind.__name__}: {text}" if text else kind.__name__
        return error


def of_an_answer(value: Any) -> bool:
    """May a test have made this from what the candidate answered or raised? Then the candidate chose its type."""
    if isinstance(value, type):
        return value.__module__ != TESTS
    return isinstance(value, CandidateRaised) or hasattr(type(value), "__next__")


def ask(handle: Handle, operation: str, *operands: Any) -> Any:
    """One operation on the object that `handle` stands for."""
    get = object.__getattribute__
    return get(handle, "_owner").perform(operation, get(handle, "_number"), operands)


def defined(handle: Handle, *names: str) -> bool:
    """Does a class of the reference have one of these methods?"""
    return not object.__getattribute__(handle, "_owner").interface().isdisjoint(names)


def ask_defined(handle: Handle, operation: str, names: tuple[str, ...], *operands: Any) -> Any:
    """An operation that plain values know as well, so that an object could pose as one."""
    if not defined(handle, *names):
        raise TypeError(f"{operation} of {handle!r}: no class of the reference has {names[0]}")
    return ask(handle, operation, *operands)


def _arithmetic(operation: str) -> Any:
    """The answer is an object: as a number, it would be a distance to what the operand gives away."""

    def method(self: Handle, *operands: Any) -> Handle:
        answer = ask_defined(self, operation, (method.__name__,), *operands)
        if type(answer) is not Handle:
            raise TypeError(f"{operation} of {self!r} gave no object but {short(answer)}")
        return answer

    method.__name__ = f"__{operation}__"
    return method


def _exactly(operation: str, kind: type, *names: str) -> Any:
    def method(self: Handle) -> Any:
        answer = ask_defined(self, operation, names)
        if type(answer) is not kind:
            raise TypeError(f"{operation}() of {self!r} gave {short(answer)}")
        return answer

    return method


_text = _exactly("str", str, "__str__", "__repr__")
_truth = _exactly("bool", bool, "__bool__", "__len__")


class Handle:
    """An object in the candidate's process: its class instances, functions, classes.

    Calls and attributes run over there and come back as values. A plain value gives the same answer each time and
    never learns what it is compared with; an object need not. So what plain values can do as well (length, items,
    `count`) a handle does only where a class of the reference does it, arithmetic gives objects only, and conversion
    to a number, `__contains__` and comparison never run over there: a handle equals itself and nothing else.
    """

    __slots__ = ("_owner", "_number", "_name")

    def __init__(self, owner: Candidate, number: int, name: str):
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_name", name)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return ask(self, "call with names", args, kwargs)
        return ask(self, "call", *args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name != "__name__":
            raise AttributeError(name)  # what copy, pickle and the like ask for is not the candidate's to answer
        if name in PLAIN_NAMES and not defined(self, name):
            raise AttributeError(f"{name} of {self!r}: no class of the reference has it")
        return ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "setattr", name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is Handle and hash(self) == hash(other)

    def __hash__(self) -> int:
        return object.__getattribute__(self, "_number")

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_name')} object>"

    def __str__(self) -> str:
        return _text(self) if defined(self, "__str__", "__repr__") else repr(self)

    def __bool__(self) -> bool:
        return _truth(self) if defined(self, "__bool__", "__len__") else True

    def __iter__(self) -> Iterator[Any]:
        answer = ask_defined(self, "iter", ("__iter__", "__getitem__"))
        return answer if hasattr(type(answer), "__next__") and type(answer) is not Handle else _steps(answer)

    def __next__(self) -> Any:
        return ask_defined(self, "next", ("__next__",))

    def __getitem__(self, key: Any) -> Any:
        return ask_defined(self, "getitem", ("__getitem__",), key)

    def __setitem__(self, key: Any, value: Any) -> None:
        ask(self, "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        ask(self, "delitem", key)

    __len__ = _exactly("len", int, "__len__")
    __add__ = _arithmetic("add")
    __sub__ = _arithmetic("sub")
    __mul__ = _arithmetic("mul")
    __mod__ = _arithmetic("mod")
    __truediv__ = _arithmetic("truediv")
    __floordiv__ = _arithmetic("floordiv")
    __neg__ = _arithmetic("neg")


def _steps(handle: Any) -> Iterator[Any]:
    """Iterate over an iterator of the candidate's own class, one step a call."""
    if type(handle) is not Handle:
        raise TypeError("iter() of the candidate's object gave no iterator")
    while True:
        try:
            yield ask(handle, "next")
        except StopIteration:
            return
