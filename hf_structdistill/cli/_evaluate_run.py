"""The generating half of `structdistill evaluate`: one student after another, keeping what an earlier run finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..evaluation.completion import Completion
from ..evaluation.prompts import Prompt, choose_format, make_prompts
from ..evaluation.session import CompletionLog, model_fingerprint, model_labels, prompt_hashes
from ..problems import Problem


@dataclass(frozen=True)
class Completed:
    """The problems one student answered, with its samples, their lengths in tokens, and its bits per byte."""

    problems: list[Problem]
    texts: list[list[str]]
    tokens: list[list[int | None]] | None = None
    bits: float | None = None


@dataclass(frozen=True)
class RunOptions:
    """How completions are made. `sampling` changes what they are, the rest does not."""

    benchmark: str
    sampling: Mapping[str, Any]
    num_samples: int
    batch_size: int
    prompt_format: str
    load_in_4bit: bool = False
    with_bits: bool = False
    endpoint: str | None = None


@dataclass
class GenerationRun:
    """Completes `problems` with several students into one output folder."""

    folder: Path
    problems: list[Problem]
    options: RunOptions
    formats: dict[str, str] = field(default_factory=dict)

    def complete(self, models: Sequence[str]) -> dict[str, Completed]:
        """Label -> what the student wrote."""
        if self.options.endpoint is None:
            from ..evaluation.generate import check_model_folder

            for name in models:
                check_model_folder(name)  # all of them, before the first one takes an hour
        settings = {"benchmark": Path(self.options.benchmark).name, **self.options.sampling}
        log = CompletionLog(self.folder, {**settings, "load_in_4bit": self.options.load_in_4bit})
        labels = model_labels(models)
        return {label: self._complete(log, label, name) for label, name in zip(labels, models, strict=True)}

    def _complete(self, log: CompletionLog, label: str, name: str) -> Completed:
        options = self.options
        remote = options.endpoint is not None
        self.formats[label] = "chat" if remote else choose_format(name, options.prompt_format)
        prompts = make_prompts(self.problems, self.formats[label])
        hashes = prompt_hashes(self.problems, prompts)
        fingerprint = name if remote else model_fingerprint(name)
        done = log.begin(label, {"fingerprint": fingerprint, "prompt_format": self.formats[label]}, hashes)
        wanted = [(i, sample) for i in range(len(self.problems)) for sample in range(options.num_samples)]
        missing = [(i, sample) for i, sample in wanted if (self.problems[i].id, sample) not in done]
        bits = None
        if remote:
            self._collect(log, label, self._ask(name, prompts, missing), hashes, missing, done)
        elif missing or options.with_bits:
            from ..evaluation.generate import load_student

            student, tokenizer = load_student(name, load_in_4bit=options.load_in_4bit)
            batches = self._generate(student, tokenizer, prompts, missing)
            self._collect(log, label, batches, hashes, missing, done)
            bits = self._bits(label, student, tokenizer, prompts) if options.with_bits else None
        rows = [[done[problem.id, sample] for sample in range(options.num_samples)] for problem in self.problems]
        texts = [[text for text, _ in row] for row in rows]
        return Completed(self.problems, texts, [[tokens for _, tokens in row] for row in rows], bits)

    def _generate(self, student: Any, tokenizer: Any, prompts: list[Prompt], missing: Any) -> Iterator[Any]:
        from ..evaluation.generate import iterate_completions

        chosen = [prompts[i] for i, _ in missing]
        return iterate_completions(
            student, tokenizer, chosen, batch_size=self.options.batch_size, **self.options.sampling
        )

    def _ask(self, name: str, prompts: list[Any], missing: Any) -> Iterator[list[Completion]]:
        from ..evaluation.endpoint import iterate_endpoint

        return iterate_endpoint(
            name,
            str(self.options.endpoint),
            [self.problems[i] for i, _ in missing],
            [prompts[i] for i, _ in missing],
            samples=[sample for _, sample in missing],
            **self.options.sampling,
        )

    def _collect(
        self,
        log: CompletionLog,
        label: str,
        batches: Iterator[list[Completion]],
        hashes: Mapping[str, str],
        missing: Sequence[tuple[int, int]],
        done: dict[Any, Any],
    ) -> None:
        """Write each batch to the log before the next one is made."""
        total = len(self.problems) * self.options.num_samples
        with progress_bars() as bar:
            task = bar.add_task(f"{label}: completions", total=total, completed=total - len(missing))
            for batch in batches:
                rows = []
                for completion in batch:
                    i, sample = missing[completion.index]
                    problem_id = self.problems[i].id
                    done[problem_id, sample] = (completion.text, completion.tokens)
                    rows.append(
                        {
                            "model": label,
                            "problem_id": problem_id,
                            "sample": sample,
                            "prompt_hash": hashes[problem_id],
                            "completion": completion.text,
                            "tokens": completion.tokens,
                        }
                    )
                log.append(rows)
                bar.advance(task, len(batch))

    def _bits(self, label: str, student: Any, tokenizer: Any, prompts: list[Prompt]) -> float | None:
        from ..evaluation.likelihood import bits_per_byte

        with progress_bars() as bar:
            task = bar.add_task(f"{label}: likelihood", total=sum(bool(p.reference) for p in self.problems))
            return bits_per_byte(
                student,
                tokenizer,
                self.problems,
                prompts=prompts,
                batch_size=self.options.batch_size,
                progress=lambda count: bar.update(task, completed=count),
            )


def progress_bars() -> Any:
    """Bars on stderr, so that stdout holds the table alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    return Progress(*columns, console=Console(stderr=True))
