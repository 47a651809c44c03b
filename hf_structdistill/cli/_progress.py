"""Progress bars that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def stage_progress(
    title: str, stages: Mapping[str, str], note: Callable[[str], str] | None = None
) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback `(stage, done, total)` that draws one bar a stage, on stderr: stdout is for results.

    Args:
        title: in front of every bar, e.g. the student's name.
        stages: name of a stage -> its label; a stage without one gets no bar.
        note: gives a text behind the bar of a stage, e.g. what was spent so far.
    """
    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                return
            if stage not in tasks:
                tasks[stage] = progress.add_task(stages[stage], total=total, title=title, note="")
            progress.update(tasks[stage], completed=done, total=total, note=note(stage) if note else "")

        yield report
