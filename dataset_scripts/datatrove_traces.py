"""Collects teacher traces over many tasks with datatrove: on the cores of one machine, or as Slurm jobs.

pip install "hf-structdistill[datatrove]"
python dataset_scripts/datatrove_traces.py --problems mbpp --teacher meta-llama/Llama-3.1-70B-Instruct \
    --tasks 8 --out traces
python dataset_scripts/datatrove_traces.py ... --slurm hopper-cpu --time 04:00:00

Each task asks about its shard of the problems and keeps a journal of its own; a last one, which waits for them, takes
the journals together and writes the data set. Tasks that were interrupted go on where they stopped when the same
command is run again. Tokens are read from HF_TOKEN on the machine that asks, and are in no file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from hf_structdistill.cli._traces_problems import Guard, Source, make_guard
from hf_structdistill.hub.datasets import write_trace_dataset
from hf_structdistill.problems import Problem
from hf_structdistill.problems.decontamination import Decontamination
from hf_structdistill.teachers import (
    RecordedTeacher,
    ScriptedTeacher,
    Teacher,
    collect_traces,
    merge_journals,
    select_examples,
    shard,
)


class Run:
    """What every task must agree on: which problems, compared with which files, which teacher, where to."""

    def __init__(self, source: Source, compare: list[str], teacher: str, out: Path) -> None:
        self.source, self.compare, self.teacher, self.out = source, compare, teacher, out

    def load(self) -> tuple[list[Problem], Decontamination[Any] | None, Guard]:
        """The problems that `structdistill traces` would ask about, what was removed, what replies must not hold."""
        problems = self.source.load()
        guard = make_guard(problems, self.source, self.compare)
        return *guard.clean(problems), guard

    def ask(self) -> Teacher:
        kind, _, file = self.teacher.partition(":")
        if self.teacher == "scripted":
            return ScriptedTeacher()
        if kind == "recorded":
            return RecordedTeacher(file)
        from hf_structdistill.teachers.inference import InferenceTeacher

        return InferenceTeacher(self.teacher, concurrency=64)

    @property
    def work(self) -> Path:
        """Journals of the shards and datatrove's logs: beside the data set, not in it."""
        return self.out.with_name(f"{self.out.name}-work")

    def folder(self, rank: int) -> Path:
        return self.work / "shards" / f"{rank:05d}"


class CollectTraces(PipelineStep):
    """Asks about one shard of the problems and judges the replies."""

    name, type = "Teacher traces", "TEACHER"

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Any:
        problems = shard(self._run.load()[0], rank, world_size)
        collected = collect_traces(problems, [self._run.ask()], self._run.folder(rank))
        for status, number in collected.statuses().items():
            self.stat_update(status, value=number)
        yield from data or ()


class WriteDataset(PipelineStep):
    """Takes the shards' journals together and writes the data set; nothing is asked or judged again."""

    name, type = "Trace data set", "WRITER"

    def __init__(self, run: Run, shards: int) -> None:
        super().__init__()
        self._run, self._shards = run, shards

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Any:
        run = self._run
        problems, clean, guard = run.load()
        merge_journals(run.out, [run.folder(index) for index in range(self._shards)])
        collected = collect_traces(problems, [run.ask()], run.out)
        traces, clean = guard.clean(collected.traces, clean)
        collected = replace(collected, traces=traces)
        examples = select_examples(collected.traces, collected.problems)
        write_trace_dataset(
            run.out,
            collected,
            examples,
            title=run.source.title,
            decontamination=clean,
            not_checked=guard.not_checked,
        )
        yield from data or ()


def executors(run: Run, options: argparse.Namespace) -> Any:
    """The last job; it waits for the others."""
    logs = str(run.work / "logs")
    if options.slurm:
        slurm = {"time": options.time, "partition": options.slurm}
        first = SlurmPipelineExecutor([CollectTraces(run)], tasks=options.tasks, logging_dir=f"{logs}/ask", **slurm)
        return SlurmPipelineExecutor(
            [WriteDataset(run, options.tasks)], tasks=1, logging_dir=f"{logs}/write", depends=first, **slurm
        )
    first = LocalPipelineExecutor(
        [CollectTraces(run)], tasks=options.tasks, workers=options.workers, logging_dir=f"{logs}/ask"
    )
    return LocalPipelineExecutor([WriteDataset(run, options.tasks)], logging_dir=f"{logs}/write", depends=first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", required=True, help="a benchmark's name, or a file")
    parser.add_argument("--teacher", required=True, help="scripted, recorded:FILE, or the id of a model")
    parser.add_argument("--out", type=Path, required=True, help="folder that every task can write to")
    parser.add_argument("--limit", type=int, help="at most this many problems")
    parser.add_argument("--problems-file", type=Path, metavar="FILE", help="read the benchmark from it, not the Hub")
    parser.add_argument(
        "--decontaminate",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a benchmark to compare with, or none",
    )
    parser.add_argument("--tasks", type=int, default=4, help="shards")
    parser.add_argument("--workers", type=int, default=2, help="tasks at a time on this machine")
    parser.add_argument("--slurm", metavar="PARTITION", help="submit Slurm jobs")
    parser.add_argument("--time", default="08:00:00", help="of a Slurm job")
    options = parser.parse_args()
    source = Source(options.problems, options.problems_file, limit=options.limit)
    executors(Run(source, options.decontaminate, options.teacher, options.out.absolute()), options).run()


if __name__ == "__main__":
    main()
