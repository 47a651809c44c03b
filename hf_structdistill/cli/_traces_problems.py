"""Which problems `structdistill traces` asks about, and which must not come back in its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError

if TYPE_CHECKING:
    from ..problems import Problem
    from ..problems.decontamination import Decontamination

Item = TypeVar("Item")

GUARDED = ("mbpp", "mbpp_plus", "humaneval")
"""Benchmarks whose test problems must not come back in the data."""

FOR_STUDY = "problems of a test split are traced for study and never trained on."


@dataclass(frozen=True)
class Source:
    """Where problems come from: the options of that name."""

    name: str
    file: Path | None = None
    split: str | None = None
    revision: str | None = None
    limit: int | None = None

    @property
    def title(self) -> str | None:
        """Of the data set, where a file of one's own gives it its name; None for benchmarks, which have theirs."""
        from ..problems import BENCHMARKS

        file = self.file if self.name == "jsonl" else None if self.name in BENCHMARKS else Path(self.name)
        return f"Verified reasoning traces for {file.name.split('.')[0]}" if file else None

    def load(self) -> list[Problem]:
        """The problems; of the training split where there is one and no other was asked for."""
        from ..problems import BENCHMARKS, load_problems

        split = self.split
        if split is None and self.name in BENCHMARKS and "train" in BENCHMARKS[self.name].splits:
            split = "train"
        return load_problems(self.name, split=split, path=self.file, revision=self.revision, limit=self.limit)


def part_of(problems: list[Problem], option: str | None) -> list[Problem]:
    """The problems of `--shard i/n`; all without it.

    Raises:
        InputError: not of the form i/n, or nothing in that part.
    """
    from ..teachers import shard

    if option is None:
        return problems
    index, _, count = option.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise InputError(f"Expected --shard i/n with i from 0 to n-1, e.g. 0/4, found '{option}'.")
    chosen = shard(problems, int(index), int(count))
    if not chosen:
        raise InputError(f"Expected problems in shard {option}, found none among {len(problems)}; use fewer shards.")
    return chosen


@dataclass(frozen=True)
class Guard:
    """Test problems that must not come back in the data, and the benchmarks that could not be compared, with why.

    What belongs to a problem of `for_study` is not compared: it is never trained on.
    """

    problems: list[Problem]
    not_checked: dict[str, str]
    for_study: frozenset[str] = frozenset()

    def clean(
        self, items: list[Item], before: Decontamination[Any] | None = None
    ) -> tuple[list[Item], Decontamination[Any] | None]:
        """What stays of `items`; the report goes on from `before`. Without problems to compare with, all stays."""
        from ..problems import decontaminate

        if not self.problems:
            return items, before
        study = {id(item) for item in items if _problem_id(item) in self.for_study}
        found = decontaminate([item for item in items if id(item) not in study], self.problems)
        removals = [*(before.removals if before else ()), *found.removals]
        stays = study | {id(item) for item in found.kept}
        return [item for item in items if id(item) in stays], replace(found, removals=removals)


def _problem_id(item: Any) -> str:
    """Of a problem, or of a trace."""
    return getattr(item, "problem_id", None) or item.id


def make_guard(asked: Sequence[Problem], source: Source, options: Sequence[str]) -> Guard:
    """Test problems of the guarded benchmarks, from files where given, else from the Hub if the problems came from it.

    Of `asked`, problems that are themselves of a test split are not compared: their traces are for study.
    """
    from ..problems import load_problems

    if "none" in options:
        return Guard([], {"any benchmark": "switched off by --decontaminate none."})
    study = [problem for problem in asked if problem.role == "test"]
    if len(study) == len(asked):
        return Guard([], {"any benchmark": FOR_STUDY})
    files = _files(options)
    if source.file is not None and source.name in GUARDED:
        files.setdefault(source.name, [source.file])
    from_hub = source.file is None and source.name in GUARDED
    guarded: list[Problem] = []
    not_checked = {f"any benchmark ({len(study)} of {len(asked)} problems)": FOR_STUDY} if study else {}
    for benchmark in dict.fromkeys([*GUARDED, *files]):
        if benchmark not in files and not from_hub:
            not_checked[benchmark] = f"no file was given (--decontaminate {benchmark}=FILE)."
            continue
        try:
            for file in files.get(benchmark, [None]):
                guarded += load_problems(benchmark, split="test", path=file)
        except InputError as error:
            if benchmark in files:
                raise
            not_checked[benchmark] = str(error)
    return Guard(guarded, not_checked, frozenset(problem.id for problem in study))


def _files(options: Sequence[str]) -> dict[str, list[Path | None]]:
    """The files of each benchmark: those of one's own have one name, "jsonl"."""
    from ..problems import BENCHMARKS

    files: dict[str, list[Path | None]] = {}
    for option in options:
        benchmark, equals, file = option.partition("=")
        if not equals or benchmark not in BENCHMARKS:
            raise InputError(f"Expected --decontaminate NAME=FILE (e.g. humaneval=…) or none, found '{option}'.")
        files.setdefault(benchmark, []).append(Path(file))
    return files
