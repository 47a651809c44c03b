"""Any text and any bytes have a tree and a data flow, whatever their nesting and length."""

import keyword
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check_anything

from hf_structdistill.structure import analyse_dataflow, parse

PROGRAM = textwrap.dedent(
    '''
    """Doc."""
    from m import a as b
    import os.path

    @cache
    def f(x, *args, y: int = b, **kw) -> int:
        global total
        try:
            with open(x) as h, g(y) as (i, j):
                total += sum(n * y for n in h if (k := n) and k > i)
        except (E, F) as e:
            raise G(e) from None
        else:
            kw["z"].q = [lambda v=k: v + j, *args]
        finally:
            del x
        for p, (q, *r) in {k: v for k, v in kw.items()}:
            match q:
                case [s, {"t": u, **w}] | C(s, t=u, v=w) if s: continue
                case _: break
        else:
            while True:
                x = f"{total!r:>{i}}" if kw else not args
        return x

    class A(B[b], metaclass=M):
        n: int
        o = p = n = 3
        async def g(self):
            nonlocal_ = await self.o
            self.o, *rest = [yield_ async for yield_ in self]
            print(rest, file=b)
    '''
)

TOKENS = [
    *keyword.kwlist,
    *keyword.softkwlist,
    *"a b c x:=1 a=b a+=b a.b a[b] f(a) (a,*b) := = + , : ; ( ) [ ] { } * ** @ . -> ... 1 'a' f'{a}'".split(),
    *'""" # \\ ! $ ?'.split(),
    "\n",
    "\n    ",
    "\n        ",
    "\r\n",
    "\t",
    "\x00",
    "\ufeff",
    "é",
    "\ud800",
    "def f(a, b=c):\n    ",
    "for a in b:\n    ",
    "try:\n    a=b\nexcept E as a:\n    ",
    "finally:\n    ",
    "[a for a in b if a]",
    "lambda a: b",
    "match a:\n    case [a, *b]:\n        ",
    "class A(b):\n    ",
    "global a\n",
    "import a.b as c\n",
    "del a\n",
]

EDGE_CASES = {
    "empty": b"",
    "nul": b"x = 1\0\ny = x\0",
    "bom": b"\xef\xbb\xbfx = 1\ny = x\n",
    "crlf": b"x = 1\r\nif x:\r\n\ty = x\r\n",
    "cr": b"x = 1\ry = x\r",
    "tabs": b"if x:\n\ty = 1\n        z = y\n",
    "form feed": b"x = 1\n\x0cy = x\n",
    "no newline": b"def f(x):\n  return x",
    "latin-1": "x = 'café'\ny = x\n".encode("latin-1"),
    "utf-16": "x = 1\ny = x\n".encode("utf-16"),
    "not utf-8": b"x\xff = 1\n\xfe\xff\xc3(\ny = x\xff\n",
    "all bytes": bytes(range(256)) * 8,
    "surrogate": "x = '\ud800'\ny = x\n",
    "emoji": "\U0001f600 = 1\nx = '\U0001f600'\n",
    "python 2": b"print x, y\nexec 'x' in d\nprint >>f, x\nraise E, 'x'\nx <> y\n`x`\n",
    "unclosed string": b"x = '''abc\ny = x\n",
    "only error": b")))",
    "stray keywords": b"break\ncontinue\nreturn\nyield\nnonlocal x\nawait y\nelse:\n  z\n",
}

DEEP = {
    "brackets": "(" * 10_000 + "x" + ")" * 10_000,
    "unclosed brackets": "x = " + "[" * 10_000,
    "calls": "f(" * 10_000 + "x" + ")" * 10_000,
    "lambdas": "lambda x: " * 3_000 + "x",
    "comprehensions": "[x for x in " * 3_000 + "x" + "]" * 3_000,
    "walrus": "(x := " * 3_000 + "y" + ")" * 3_000,
    "attributes": "x" + ".y" * 10_000 + " = 1",
    "chained": "x = " * 10_000 + "1",
    "boolean": "x and " * 10_000 + "x",
    "walrus chain": "x and (y := 1) and " * 3_000 + "x",
    "conditional": "x if y else " * 5_000 + "x",
    "tuples": "(" * 3_000 + "x," + ")," * 3_000 + " = y",
    "unary": "-" * 10_000 + "x",
    "elif": "if x: x = 1\n" + "elif x: x = 2\n" * 3_000,
    "blocks": "".join(" " * i + "if x:\n" for i in range(400)) + " " * 400 + "x = 1",
    "functions": "".join(" " * i + "def f(x):\n" for i in range(400)) + " " * 400 + "x = x",
    "tries": "".join(" " * i + "try:\n" for i in range(200)) + " " * 200 + "x = 1",
    "finally": "".join(" " * i + "try: x = 1\n" + " " * i + "finally:\n" for i in range(200)) + " " * 200 + "x = 1",
    "f-strings": "f'{" * 1_000 + "x" + "}'" * 1_000,
    "one line of 1 MB": "x = [" + "y, " * 333_333 + "]",
    "a 1 MB name": "x" * 1_000_000 + " = 1",
    "a 1 MB comment": "#" * 1_000_000,
    "1 MB of spaces": " " * 1_000_000 + "x",
}


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases(name):
    check_anything(EDGE_CASES[name])


@pytest.mark.parametrize("name", DEEP)
def test_depth_and_length_only_cost_memory(name):
    tree = parse(DEEP[name])
    assert tree.last[0] == len(tree)
    flow = analyse_dataflow(tree)
    assert all(flow.occurrences[use].is_use for use, _ in flow.edges)


def test_line_ends_and_bom_do_not_change_the_edges():
    plain = analyse_dataflow(parse(PROGRAM))
    assert plain.edges
    for variant in (PROGRAM.replace("\n", "\r\n"), "\ufeff" + PROGRAM, PROGRAM.replace("    ", "\t")):
        flow = analyse_dataflow(parse(variant))
        assert (flow.edges, flow.assignments) == (plain.edges, plain.assignments)
        assert [o.name for o in flow.occurrences] == [o.name for o in plain.occurrences]


def test_every_prefix_of_a_program():
    """What a truncated completion looks like."""
    for stop in range(0, len(PROGRAM), 3):
        check_anything(PROGRAM[:stop])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(source):
    check_anything(source)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text(source):
    tree, _ = check_anything(source)
    assert tree.source == source.encode("utf-8", "surrogatepass")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=40), st.booleans())
def test_any_tokens(tokens, spaced):
    check_anything((" " if spaced else "").join(tokens))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutilated_programs(data):
    """Slices of a program that uses every construct, cut and spliced."""
    lines = PROGRAM.splitlines(keepends=True)
    spans = st.tuples(st.integers(0, len(lines)), st.integers(1, 6), st.integers(0, 30))
    pieces = data.draw(st.lists(spans, max_size=5))
    check_anything("".join("".join(lines[a : a + n])[cut:] for a, n, cut in pieces))
