"""Finds problems and traces that a benchmark already has, in other words or with other names.

Three signs, each enough to remove:

- text: after MBPP's stock openings are cut, a shared run of `NGRAM` words, the same words throughout, or the same
  content words in any order;
- tests: a test with the same arguments and result, whatever the function is called;
- structure: the same program after renaming and reformatting, by runs of `SHINGLE` tokens in which every name the
  program itself defines is one symbol, and comments, docstrings and layout are gone.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .problem import AssertTests, CheckTests, Problem

NGRAM = 10
SHINGLE = 5
MIN_CONTENT_WORDS = 4
MIN_SAME_TEXT = 2  # content words
SAME_WORDS = 0.85
MIN_SHINGLES = 20
SAME_PROGRAM = 0.75
MIN_TEST = 20
MIN_ARGUMENTS = 12

_OPENING = re.compile(r"^\W*(write|implement|create|define)\s+(a|an)\s+(python\s+)?function\s+(to|that|which)?\s*")
_WORD = re.compile(r"[a-z0-9]+")
_ASSERT = re.compile(r"^\s*assert .*$", re.MULTILINE)
_STOP = frozenset(
    "a an and are as at be by can find for from function given has have if in into is it its of on or python return "
    "returns should so take takes that the their them then there this to using was where whether which with write you "
    "your".split()
)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Removal:
    """Why an item was removed: the sign, how strong it was in [0, 1], and both texts."""

    item_id: str
    matched_id: str
    sign: str
    score: float
    text: str
    matched_text: str


@dataclass(frozen=True)
class Decontamination(Generic[Item]):
    """Result of `decontaminate`: what stays, what went and why, and how many problems of each source were checked."""

    kept: list[Item]
    removals: list[Removal]
    checked_against: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Views:
    """The three ways an item is looked at."""

    id: str
    text: str
    code: str
    words: tuple[str, ...]
    content: frozenset[str]
    tests: frozenset[str]
    shingles: Counter[tuple[str, ...]]
    source: tuple[Any, ...] | None  # where a problem is from; of a trace only the id is known

    def is_itself(self, other: _Views) -> bool:
        """Whether `other` is this very problem: a file of the user may give its rows a benchmark's ids."""
        return self.id == other.id and self.source in (None, other.source)


def decontaminate(
    items: Sequence[Item],
    against: Iterable[Problem],
    *,
    same_words: float = SAME_WORDS,
    same_program: float = SAME_PROGRAM,
) -> Decontamination[Item]:
    """Remove from `items` what a problem of `against` already has.

    Args:
        items: `Problem`s, or traces (anything with `problem_id`, `code` and `messages`).
        against: problems of the benchmarks to keep clean; their references are compared too.
        same_words: overlap (Jaccard) of content words from which two texts count as the same.
        same_program: overlap (weighted Jaccard) of token runs from which two programs count as the same.

    A problem is not compared with itself: the same id, from the same source with the same content. A trace is not
    compared with a problem of its own id.
    """
    problems = list(against)
    index = _Index([_views(problem) for problem in problems])
    kept, removals = [], []
    for item in items:
        removal = index.match(_views(item), same_words, same_program)
        if removal is None:
            kept.append(item)
        else:
            removals.append(removal)
    sources = Counter(f"{problem.source} ({problem.split})" for problem in problems)
    return Decontamination(kept, removals, dict(sources))


class _Index:
    """Benchmark problems by word run, content word, test and token run."""

    def __init__(self, views: list[_Views]) -> None:
        self.views = views
        self._by_ngram: dict[tuple[str, ...], int] = {}
        self._by_text: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._by_test: dict[str, int] = {}
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_shingle: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        for number, view in enumerate(views):
            self._by_text[view.words].append(number)
            for ngram in _runs(view.words, NGRAM):
                self._by_ngram.setdefault(ngram, number)
            for test in view.tests:
                self._by_test.setdefault(test, number)
            for word in view.content:
                self._by_word[word].append(number)
            for shingle, count in view.shingles.items():
                self._by_shingle[shingle].append((number, count))

    def match(self, item: _Views, same_words: float, same_program: float) -> Removal | None:
        for ngram in _runs(item.words, NGRAM):
            number = self._by_ngram.get(ngram)
            if number is not None and not item.is_itself(self.views[number]):
                return self._removal(item, number, "text", 1.0, " ".join(ngram), " ".join(ngram))
        for test in sorted(item.tests):
            number = self._by_test.get(test)
            if number is not None and not item.is_itself(self.views[number]):
                return self._removal(item, number, "tests", 1.0, test, test)
        found = self._same_text(item) or self._same_words(item, same_words)
        return found or self._same_program(item, same_program)

    def _same_text(self, item: _Views) -> Removal | None:
        """Word for word: a task of few words ("volume of a cube") has no long run and too few content words."""
        for number in self._by_text.get(item.words, ()) if len(item.content) >= MIN_SAME_TEXT else ():
            if not item.is_itself(self.views[number]):
                return self._removal(item, number, "text", 1.0, item.text, self.views[number].text)
        return None

    def _same_words(self, item: _Views, threshold: float) -> Removal | None:
        if len(item.content) < MIN_CONTENT_WORDS:
            return None
        shared = Counter(number for word in item.content for number in self._by_word.get(word, ()))
        for number, common in shared.most_common():
            other = self.views[number]
            score = common / (len(item.content) + len(other.content) - common)
            if score >= threshold and len(other.content) >= MIN_CONTENT_WORDS and not item.is_itself(other):
                return self._removal(item, number, "text", score, item.text, other.text)
        return None

    def _same_program(self, item: _Views, threshold: float) -> Removal | None:
        size = item.shingles.total()
        if size < MIN_SHINGLES:
            return None
        shared: Counter[int] = Counter()
        for shingle, count in item.shingles.items():
            for number, other_count in self._by_shingle.get(shingle, ()):
                shared[number] += min(count, other_count)
        for number, common in shared.most_common():
            other = self.views[number]
            score = common / (size + other.shingles.total() - common)
            if score >= threshold and other.shingles.total() >= MIN_SHINGLES and not item.is_itself(other):
                return self._removal(item, number, "structure", score, item.code, other.code)
        return None

    def _removal(self, item: _Views, number: int, sign: str, score: float, text: str, matched: str) -> Removal:
        return Removal(item.id, self.views[number].id, sign, round(score, 4), text, matched)


def _views(item: Any) -> _Views:
    if isinstance(item, Problem):
        label, text, code = item.id, _task_text(item.prompt), item.reference or ""
        bodies, source = _test_bodies(item), (item.source, item.metadata.get("content_hash"))
    else:
        messages: Sequence[Mapping[str, str]] = item.messages
        label, code, bodies, source = item.problem_id, item.code or "", frozenset(), None
        text = _task_text(messages[-1]["content"]) if messages else ""
    words = tuple(_WORD.findall(_OPENING.sub("", text.lower())))
    content = frozenset(_stem(word) for word in words if word not in _STOP)
    return _Views(label, text, code, words, content, bodies, _shingles(code), source)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _task_text(prompt: str) -> str:
    """The task in words: without the tests it shows, and for a head of a function, its docstring without examples."""
    text = prompt.split("Your code should pass these tests:")[0]
    quoted = re.findall(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', text, re.DOTALL)
    if quoted:
        text = "".join(quoted[-1])
    return text.split(">>>")[0].strip()


def _test_bodies(problem: Problem) -> frozenset[str]:
    """The tests from the arguments on, without layout; short ones say nothing about where they come from."""
    name = problem.entry_point
    if isinstance(problem.tests, AssertTests):
        tests = problem.tests.asserts
    elif isinstance(problem.tests, CheckTests):
        tests, name = tuple(_ASSERT.findall(problem.tests.code)), "candidate"
    else:
        tests = tuple(_ASSERT.findall(problem.prompt))  # MBPP+ shows those that it has in common with MBPP
    found = set()
    for test in tests:
        for called in [name] if name else _called(test):
            rest = test.partition(f"{called}(")[2]
            body = re.sub(r"[\s()]+", "", rest).replace('"', "'")  # MBPP writes some results in parentheses
            if len(body) >= MIN_TEST and len(body.split("==")[0]) >= MIN_ARGUMENTS:
                found.add(body)
    return frozenset(found)


def _called(test: str) -> set[str]:
    """What a test calls, where nobody says which function is asked for: every name but the builtins."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in patterns
            calls = [node.func for node in ast.walk(ast.parse(test.strip())) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError):
        return set()
    return {func.id for func in calls if isinstance(func, ast.Name) and not hasattr(builtins, func.id)}


def _runs(tokens: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def _shingles(code: str) -> Counter[tuple[str, ...]]:
    return Counter(_runs(_normal_tokens(code), SHINGLE)) if code.strip() else Counter()


def _normal_tokens(code: str) -> list[str]:
    """Leaves of the syntax tree with the program's own names, quotes and layout made equal."""
    from ..structure import analyse_dataflow, parse

    tree = parse(code)
    own = {occurrence.name for occurrence in analyse_dataflow(tree).occurrences}
    kinds = [tree.kind_name(node) for node in range(len(tree))]
    for node, parent in enumerate(tree.parents):
        if (
            parent >= 0
            and kinds[node] == "identifier"
            and kinds[parent] in ("function_definition", "class_definition")
        ):
            own.add(tree.source[tree.starts[node] : tree.ends[node]].decode("utf-8", "replace"))
    tokens = []
    node = 0
    while node < len(tree):
        if kinds[node] in ("comment", "string"):
            if kinds[node] == "string" and kinds[tree.parents[node]] != "expression_statement":
                tokens.append(tree.source[tree.starts[node] : tree.ends[node]].decode("utf-8", "replace").strip("'\""))
            node = tree.last[node]  # an f-string is one token
            continue
        if tree.last[node] == node + 1:
            text = tree.source[tree.starts[node] : tree.ends[node]].decode("utf-8", "replace").strip()
            if text and text not in ("(", ")", ",", ";"):
                tokens.append("<name>" if text in own else text)
        node += 1
    return tokens
