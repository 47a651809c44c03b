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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from hf_structdistill.hub.datasets import write_trace_dataset
from hf_structdistill.problems import Problem, decontaminate, load_problems
from hf_structdistill.teachers import (
    RecordedTeacher,
    ScriptedTeacher,
    Teacher,
    collect_traces,
    merge_journals,
    select_examples,
    shard,
)

TEST_SETS = ("mbpp", "mbpp_plus", "humaneval")


class Run:
    """What every task must agree on: which problems, which teacher, where to."""

    def __init__(self, problems: str, limit: int | None, teacher: str, out: Path, files: dict[str, Path]) -> None:
        self.problems, self.limit, self.teacher, self.out, self.files = problems, limit, teacher, out, files

    def load(self) -> Any:
        """The training problems, compared with the test sets of which there are files (or with all, from the Hub)."""
        problems = load_problems(self.problems, split="train", limit=self.limit, path=self.files.get(self.problems))
        names = list(self.files) or [name for name in TEST_SETS if self.problems in TEST_SETS]
        return decontaminate(problems, self.test_problems(names))

    def test_problems(self, names: Sequence[str]) -> list[Problem]:
        return [p for name in names for p in load_problems(name, split="test", path=self.files.get(name))]

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
        problems = shard(self._run.load().kept, rank, world_size)
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
        run, clean = self._run, self._run.load()
        merge_journals(run.out, [run.folder(index) for index in range(self._shards)])
        collected = collect_traces(clean.kept, [run.ask()], run.out)
        examples = select_examples(collected.traces, collected.problems)
        write_trace_dataset(run.out, collected, examples, decontamination=clean)
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
    parser.add_argument(
        "--file", action="append", default=[], metavar="NAME=FILE", help="a benchmark's file, not the Hub"
    )
    parser.add_argument("--tasks", type=int, default=4, help="shards")
    parser.add_argument("--workers", type=int, default=2, help="tasks at a time on this machine")
    parser.add_argument("--slurm", metavar="PARTITION", help="submit Slurm jobs")
    parser.add_argument("--time", default="08:00:00", help="of a Slurm job")
    options = parser.parse_args()
    files = {name: Path(file) for name, _, file in (entry.partition("=") for entry in options.file)}
    executors(Run(options.problems, options.limit, options.teacher, options.out.absolute(), files), options).run()


if __name__ == "__main__":
    main()
