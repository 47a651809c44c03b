"""Python source as HTML with token classes, and with marks. Everything is escaped: the source comes from models.

Marks become `<i class="h">` (code in a matched subtree) and `<i class="x">` (in an unmatched one), and
`<u data-at=N>` around a variable, with class `fh` or `fx` where its data flow is matched or not, and `data-from`, the
numbers of the variables its value comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from markupsafe import Markup

from .marks import FlowMark, ProgramMarks

_CLASSES = (("Comment", "c"), ("Keyword", "k"), ("String", "s"), ("Number", "n"), ("Function", "f"), ("Builtin", "b"))


@lru_cache(maxsize=1)
def _lexer() -> Any:
    from pygments.lexers.python import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)


@dataclass(frozen=True)
class _Piece:
    """Text of one token, its class, and whether its subtree matches (None: layout, comment, docstring)."""

    text: str
    style: str | None
    matched: bool | None
    start: int


def code_html(source: str, marks: ProgramMarks | None = None) -> Markup:
    """Escape `source`, wrap its keywords, strings, … in spans, and show `marks`."""
    places = _char_places(source)
    status = _statuses(source, marks, places)
    variables = _variables(source, marks, places)
    parts: list[str] = []
    open_status: bool | None = None
    for piece in _pieces(source, status):
        if piece.matched is not open_status:
            parts.append("</i>" if open_status is not None else "")
            parts.append({True: '<i class="h">', False: '<i class="x">', None: ""}[piece.matched])
            open_status = piece.matched
        text = escape(piece.text)
        if piece.style:
            text = f'<span class="{piece.style}">{text}</span>'
        opening = variables.get((piece.start, piece.start + len(piece.text)))
        parts.append(f"{opening}{text}</u>" if opening else text)
    return Markup("".join(parts) + ("</i>" if open_status is not None else ""))


def _pieces(source: str, status: Sequence[bool | None]) -> Iterator[_Piece]:
    """Tokens, cut where the status changes."""
    for at, kind, text in _lexer().get_tokens_unprocessed(source):  # line ends as they are: places must not shift
        name = str(kind)
        style = next((style for word, style in _CLASSES if f".{word}" in name), None)
        neutral = ".Comment" in name or ".Doc" in name
        start = 0
        for end in range(1, len(text) + 1):
            if end == len(text) or status[at + end] is not status[at + start]:
                yield _Piece(text[start:end], style, None if neutral else status[at + start], at + start)
                start = end


def _char_places(source: str) -> list[int] | None:
    """The byte at which each character starts, and one past the end; None where bytes and characters agree."""
    if source.isascii():
        return None
    places = [0]
    for character in source:
        places.append(places[-1] + len(character.encode("utf-8", "surrogatepass")))
    return places


def _statuses(source: str, marks: ProgramMarks | None, places: list[int] | None) -> list[bool | None]:
    """Whether the innermost subtree around each character matches; None for white space at the ends of lines."""
    status: list[bool | None] = [None] * (len(source) + 1)
    if marks is None:
        return status
    index = {byte: i for i, byte in enumerate(places)} if places else None
    for span in marks.subtrees:  # outer before inner
        start, end = (index[span.start], index[span.end]) if index else (span.start, span.end)
        status[start:end] = [span.matched] * (end - start)
    at = 0
    for line in source.split("\n"):
        blank = len(line) - len(line.lstrip())
        status[at : at + blank] = [None] * blank
        tail = len(line.rstrip())
        status[at + tail : at + len(line) + 1] = [None] * (len(line) + 1 - tail)
        at += len(line) + 1
    return status[: len(source) + 1]


def _variables(source: str, marks: ProgramMarks | None, places: list[int] | None) -> dict[tuple[int, int], str]:
    """(start, end) in characters -> the opening tag of a variable."""
    flows = marks.flows if marks else ()
    index = {byte: i for i, byte in enumerate(places)} if places else None
    by_start: dict[int, list[FlowMark]] = {}
    for mark in flows:
        by_start.setdefault(mark.start, []).append(mark)
    numbers = {start: n for n, start in enumerate(sorted({*by_start, *(s for mark in flows for s in mark.sources)}))}
    lines = source.encode("utf-8", "surrogatepass")
    tags = {}
    for start, number in numbers.items():
        items = by_start.get(start, [])
        end = items[0].end if items else _name_end(lines, start)
        tag = f'<u data-at="{number}"'
        if items:
            sources = sorted({numbers[s] for mark in items for s in mark.sources})
            note = "; ".join(_note(mark, lines) for mark in items)
            style = "fh" if all(mark.matched for mark in items) else "fx"
            tag += f' class="{style}" data-from="{" ".join(map(str, sources))}" title="{escape(note)}"'
        span = (index[start], index[end]) if index else (start, end)
        tags[span] = tag + ">"
    return tags


def _name_end(data: bytes, start: int) -> int:
    end = start
    while end < len(data) and (data[end] >= 128 or chr(data[end]).isalnum() or data[end] == 95):
        end += 1
    return end


def _note(mark: FlowMark, data: bytes) -> str:
    """What a reader is told of a data-flow item."""
    lines = [str(line) for line in sorted({data.count(b"\n", 0, source) + 1 for source in mark.sources})]
    what = f"value from line {' or '.join(lines)}" if mark.is_use else f"computed from line {' and '.join(lines)}"
    return f"{what}: {'matched' if mark.matched else 'not in the other program'}"
