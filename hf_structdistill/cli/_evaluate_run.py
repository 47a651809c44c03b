"""The generating half of `structdistill evaluate`: one student after another, keeping what an earlier run finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..evaluation.completion import Completion, Sample
from ..evaluation.prompts import StudentPrompt, choose_format, make_prompts
from ..evaluation.recipes import PromptRecipe
from ..evaluation.session import CompletionLog, model_identity, model_labels, prompt_hashes, served_identity
from ..problems import Problem
from ._progress import stage_progress


@dataclass(frozen=True)
class Completed:
    """The problems one student answered, with its samples, its bits per byte, and what results.json says of it."""

    problems: list[Problem]
    samples: list[list[Sample]]
    bits: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunOptions:
    """How completions are made. `sampling` and `recipe` change what they are, the rest does not."""

    benchmark: str
    sampling: Mapping[str, Any]
    recipe: PromptRecipe
    num_samples: int = 1
    batch_size: int = 16
    prompt_format: str = "auto"
    load_in_4bit: bool = False
    with_bits: bool = False
    endpoint: str | None = None

    def facts(self) -> dict[str, Any]:
        """What results.json says."""
        return {
            "prompt": self.recipe.facts(),
            "sampling": {**self.sampling, "num_samples": self.num_samples},
            "generated_by": "OpenAI-compatible endpoint" if self.endpoint else "transformers",
            "load_in_4bit": self.load_in_4bit,
        }


Missing = Sequence[tuple[int, int]]
"""(number of the problem, number of the sample)."""


@dataclass
class GenerationRun:
    """Completes `problems` with several students into one output folder."""

    folder: Path
    problems: list[Problem]
    options: RunOptions

    def complete(self, models: Sequence[str]) -> dict[str, Completed]:
        """Label -> what the student wrote."""
        if self.options.endpoint is None:
            from ..evaluation.generate import check_model_folder

            for name in models:
                check_model_folder(name)  # all of them, before the first one takes an hour
        settings = {"benchmark": Path(self.options.benchmark).name, **self.options.sampling}
        settings |= {"prompt": self.options.recipe.facts(), "load_in_4bit": self.options.load_in_4bit}
        log = CompletionLog(self.folder, settings)
        labels = model_labels(models)
        return {label: self._complete(log, label, name) for label, name in zip(labels, models, strict=True)}

    def _complete(self, log: CompletionLog, label: str, name: str) -> Completed:
        options = self.options
        remote = options.endpoint is not None
        wanted_format = options.recipe.render(self.problems[0]).format
        chosen = "chat" if remote else choose_format(name, options.prompt_format, wanted_format)
        prompts = make_prompts(self.problems, chosen, options.recipe)
        hashes = prompt_hashes(self.problems, [asked.prompt for asked in prompts])
        identity = served_identity(name) if remote else model_identity(name)
        facts = {**identity, "prompt_format": chosen}
        done = log.begin(label, facts, hashes)
        wanted = [(i, sample) for i in range(len(self.problems)) for sample in range(options.num_samples)]
        missing = [(i, sample) for i, sample in wanted if (self.problems[i].id, sample) not in done]
        bits = None
        if remote:
            self._collect(log, label, self._ask(name, prompts, missing), prompts, hashes, missing, done)
        elif missing or options.with_bits:
            from ..evaluation.generate import load_student

            student, tokenizer = load_student(name, load_in_4bit=options.load_in_4bit)
            batches = self._generate(student, tokenizer, prompts, missing, log.count(label))
            self._collect(log, label, batches, prompts, hashes, missing, done)
            bits = self._bits(label, student, tokenizer, prompts) if options.with_bits else None
        rows = [[done[problem.id, sample] for sample in range(options.num_samples)] for problem in self.problems]
        return Completed(self.problems, rows, bits, facts)

    def _generate(
        self, student: Any, tokenizer: Any, prompts: list[StudentPrompt], missing: Missing, made: int
    ) -> Iterator[list[Completion]]:
        from ..evaluation.endings import Ending
        from ..evaluation.generate import iterate_completions

        chosen = [prompts[i] for i, _ in missing]
        return iterate_completions(
            student,
            tokenizer,
            [asked.prompt for asked in chosen],
            batch_size=self.options.batch_size,
            made=made,
            endings=[Ending(asked.reads == "answer", asked.stop) for asked in chosen],
            **self.options.sampling,
        )

    def _ask(self, name: str, prompts: list[StudentPrompt], missing: Missing) -> Iterator[list[Completion]]:
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
        prompts: Sequence[StudentPrompt],
        hashes: Mapping[str, str],
        missing: Missing,
        done: dict[tuple[str, int], Sample],
    ) -> None:
        """Write each batch to the log before the next one is made."""
        total = len(self.problems) * self.options.num_samples
        finished = total - len(missing)
        with stage_progress(label, {"completions": "completions"}) as progress:
            progress("completions", finished, total)
            for batch in batches:
                rows = []
                for made in batch:
                    i, number = missing[made.index]
                    problem_id = self.problems[i].id
                    sample = Sample(made.text, prompts[i].reads, made.tokens, made.finish_reason, made.seconds)
                    done[problem_id, number] = sample
                    rows.append((problem_id, number, hashes[problem_id], sample))
                log.append(label, rows)
                finished += len(batch)
                progress("completions", finished, total)

    def _bits(self, label: str, student: Any, tokenizer: Any, prompts: list[StudentPrompt]) -> float | None:
        from ..evaluation.likelihood import bits_per_byte

        with stage_progress(label, {"likelihood": "likelihood of the references"}) as progress:
            total = sum(bool(problem.reference) for problem in self.problems)
            return bits_per_byte(
                student,
                tokenizer,
                self.problems,
                prompts=prompts,
                batch_size=self.options.batch_size,
                progress=lambda count: progress("likelihood", count, total),
            )
