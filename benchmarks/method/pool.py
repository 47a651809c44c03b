"""Makes the runs that a ledger lacks, several at a time, each process on one core."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .ledger import Ledger
from .setting import Run

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}


def make_runs(runs: Sequence[Run], ledger: Ledger, workers: int) -> None:
    """Finish `runs`. What is in the ledger already is not made again; a failing run stops the study with its error.

    Runs that differ in their split alone share a training.
    """
    # inherited: a worker imports torch, which reads them, before it calls any function of ours
    os.environ.update(ENVIRONMENT)
    missing = ledger.missing(run.key for run in runs)
    pending: dict[str, list[Run]] = {}
    for run in runs:
        if run.key in missing:
            pending.setdefault(run.training, []).append(run)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    context = multiprocessing.get_context("spawn")
    with Progress(*columns) as progress, ProcessPoolExecutor(workers, context, initializer=_prepare) as pool:
        task = progress.add_task("Runs", total=len(runs), completed=len(runs) - len(missing))
        futures = [pool.submit(_perform, group, str(ledger.file)) for group in pending.values()]
        try:
            for future in as_completed(futures):
                for line in future.result():
                    progress.console.print(line)
                    progress.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    # a killed pool leaves its workers with what was handed to them already, and they would go on training
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _perform(runs: list[Run], file: str) -> list[str]:
    from pathlib import Path

    from .experiment import perform

    lines = []
    for run, row in zip(runs, perform(runs), strict=True):
        Ledger(Path(file)).append(row)
        lines.append(_summary(run, row))
    return lines


def _summary(run: Run, row: dict[str, Any]) -> str:
    scores = row["scores"]
    return (
        f"{run.study} {run.arm.name} lr {run.learning_rate:g} seed {run.seed} {run.split}: "
        f"pass@1 {scores['pass@1']:.3f} "
        f"syntax {scores['strict_syntax_match_macro']:.3f} flow {scores['strict_dataflow_match_macro']:.3f} "
        f"parsed {scores['parse_rate']:.2f} wrong variable {scores['wrong_variable_errors']} "
        f"({row['train_seconds']:.0f} + {row['evaluation_seconds']:.0f} s)"
    )
