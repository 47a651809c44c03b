"""Ways to write a Python program differently: ones that change nothing, and ones that do."""

from __future__ import annotations

import ast
import builtins
import io
import random
import tokenize

_OPERATORS = {"+": "-", "-": "+", "*": "//", "<": ">=", ">": "<=", "==": "!=", "and": "or", "in": "not in"}
_FSTRING_START, _FSTRING_END = (getattr(tokenize, f"FSTRING_{part}", -1) for part in ("START", "END"))


def tokens_of(program: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(program).readline))


def reformat(program: str, seed: int) -> str:
    """Other spacing, indentation, line breaks in brackets, blank lines, comments, and a docstring where one fits."""
    rng = random.Random(seed)
    unit = rng.choice(["  ", "    ", "\t"])
    out = [f"# {seed}\n\n"]
    level = brackets = fstrings = 0
    fresh, after_def, previous = True, False, None
    for token in tokens_of(program):
        kind, text = token.type, token.string
        if kind == tokenize.INDENT:
            level += 1
            if after_def and rng.random() < 0.5:
                out.append(unit * level + '"""Says what it does."""\n')
        elif kind == tokenize.DEDENT:
            level -= 1
        elif kind in (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT):
            if kind == tokenize.NEWLINE:
                out.append(rng.choice(["\n", "  # why\n", "\n\n", "\n" + unit * level + "# more\n"]))
                fresh = True
        elif kind != tokenize.ENDMARKER:
            if fresh:
                out.append(unit * level)
                after_def = text in ("def", "class", "async")
            elif fstrings:
                same_line = previous.end[0] == token.start[0]
                out.append(" " * (token.start[1] - previous.end[1]) if same_line else " ")
            elif brackets:
                deeper = "\n" + unit * (level + 2)  # the grammar trips over a comment line further out than its block
                out.append(rng.choice([" ", "  ", deeper, " # inside" + deeper]))
            else:
                out.append(rng.choice([" ", "  ", " \\\n "]))
            fresh = False
            out.append(text)
            fstrings += (kind == _FSTRING_START) - (kind == _FSTRING_END)
            if kind == tokenize.OP and not fstrings:
                brackets += (text in "([{") - (text in ")]}")
            previous = token
    return "".join(out)


def rename(program: str, name_of) -> str:
    """Every variable and parameter name that the program itself binds, renamed by `name_of`."""
    tree = ast.parse(program)
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    keyword_names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    bound -= {*dir(builtins), *keyword_names}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg in bound:
            node.arg = name_of(node.arg)
        elif isinstance(node, ast.Name) and node.id in bound:
            node.id = name_of(node.id)
        elif isinstance(node, (ast.Nonlocal, ast.Global)):
            node.names = [name_of(name) if name in bound else name for name in node.names]
    return ast.unparse(tree)


def swapped_operators(program: str) -> list[str]:
    """One variant for each operator that can be swapped for another of about its precedence."""
    lines = program.splitlines(keepends=True)
    variants = []
    previous = ""
    for token in tokens_of(program):
        if token.string in _OPERATORS and token.type in (tokenize.OP, tokenize.NAME):
            row, column = token.start
            line = lines[row - 1]
            binary = previous.isidentifier() or previous[-1:] in ")]}'\"" or previous[-1:].isdigit()
            if binary and not (token.string == "in" and ("for " in line or previous == "not")):
                changed = line[:column] + _OPERATORS[token.string] + line[column + len(token.string) :]
                variants.append("".join([*lines[: row - 1], changed, *lines[row:]]))
        if token.string.strip():
            previous = token.string
    return variants
