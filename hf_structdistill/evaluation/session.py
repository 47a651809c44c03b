"""A resumable generation: completions.jsonl grows batch by batch, settings.json says how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import replace_text
from ..model_names import model_fingerprint, served_name
from ..problems.problem import Problem
from .completion import Sample
from .samples import append_rows, drop_torn_end, read_rows, text_hash

Done = dict[tuple[str, int], Sample]
"""(problem id, number of the sample) -> what was generated."""


class CompletionLog:
    """The completions of one output folder.

    Args:
        folder: an existing folder.
        settings: everything that changes a completion (sampling, limits, benchmark). A folder that was begun with
            other settings is refused.

    Raises:
        InputError: other settings, or a file that is not ours.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.path = folder / "completions.jsonl"
        self.settings_path = folder / "settings.json"
        self.settings = {key: value for key, value in settings.items()}
        self.models: dict[str, Any] = {}
        if self.path.is_file():
            drop_torn_end(self.path)
            self._check_settings()
        self.rows = read_rows(self.path) if self.path.is_file() else []

    def begin(self, model: str, identity: Mapping[str, Any], prompt_hashes: Mapping[str, str]) -> Done:
        """Register a model and return what it has completed, by problem id and number of the sample.

        Args:
            identity: what tells this model from another of the same name (fingerprint, prompt format).
            prompt_hashes: problem id -> hash of the prompt it gets now; a row that answers another prompt is refused.
        """
        before = self.models.get(model)
        if before is not None and before != dict(identity):
            self._refuse({f"{model}: {key}": value for key, value in before.items()}, _prefixed(model, identity))
        self.models[model] = dict(identity)
        replace_text(self.settings_path, json.dumps({"settings": self.settings, "models": self.models}, indent=2))
        done = {}
        for number, row in enumerate(self.rows, 1):
            if row.get("model") != model or row.get("problem_id") not in prompt_hashes:
                continue
            if row.get("prompt_hash") != prompt_hashes[row["problem_id"]]:
                raise InputError(
                    f"{self.path}, row {number}: the prompt of {row['problem_id']} has changed since it was answered; "
                    f"give another --out, or remove {self.path.name} to start again."
                )
            done[row["problem_id"], row["sample"]] = Sample(
                row["completion"], row["reads"], row["tokens"], row["finish_reason"], row["seconds"]
            )
        return done

    def count(self, model: str) -> int:
        """How many completions of a model were there when the log was opened, of whatever problems."""
        return sum(row.get("model") == model for row in self.rows)

    def append(self, model: str, rows: Sequence[tuple[str, int, str, Sample]]) -> None:
        """Write finished completions through to the disk: problem id, number of the sample, hash of its prompt."""
        append_rows(
            self.path,
            [
                {
                    "model": model,
                    "problem_id": problem_id,
                    "sample": number,
                    "prompt_hash": prompt_hash,
                    "completion": sample.text,
                    "reads": sample.reads,
                    "tokens": sample.tokens,
                    "finish_reason": sample.finish_reason,
                    "seconds": sample.seconds,
                }
                for problem_id, number, prompt_hash, sample in rows
            ],
        )

    def _check_settings(self) -> None:
        try:
            found = json.loads(self.settings_path.read_text(encoding="utf-8"))
            before, self.models = found["settings"], found["models"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"'{self.path}' is there but '{self.settings_path.name}', which says how it was made, cannot be read "
                f"({type(error).__name__}); give another --out."
            ) from error
        if before != json.loads(json.dumps(self.settings)):
            self._refuse(before, self.settings)

    def _refuse(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        was = ", ".join(f"{key}={before.get(key)}" for key in keys)
        asked = ", ".join(f"{key}={now.get(key)}" for key in keys)
        raise InputError(
            f"'{self.path.parent}' holds completions made with {was}; this run asks for {asked}. "
            f"Give another --out, or remove {self.path.name} there to start again."
        )


def _prefixed(model: str, identity: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{model}: {key}": value for key, value in identity.items()}


def model_identity(name: str) -> dict[str, Any]:
    """What tells a model from another of its name: a folder's last part and fingerprint, a Hub id and its commit."""
    if Path(name).is_dir():
        return {"model": Path(name).resolve().name, "fingerprint": model_fingerprint(name)}
    return {"model": name, "revision": hub_commit(name)}


def served_identity(name: str) -> dict[str, Any]:
    """The same for a model behind an endpoint, of which only the name is known."""
    return {"model": served_name(name)}


def hub_commit(name: str) -> str | None:
    """The commit of a model on the Hub that would be loaded now, or of its cached copy; None where neither is had."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    for file in ("config.json", "adapter_config.json"):
        try:
            folder = Path(hf_hub_download(name, file)).parent  # …/snapshots/<commit>
        except (OSError, ValueError, HfHubHTTPError, HFValidationError):
            continue  # loading it will say what is wrong
        return folder.name if folder.parent.name == "snapshots" else None
    return None


def model_labels(names: Sequence[str]) -> list[str]:
    """Short and different names for reports: the last part of the path, more parts where two are alike.

    Raises:
        InputError: the same model is given twice.
    """
    if len(set(names)) < len(names):
        raise InputError("The same --model is given twice; name each student once.")
    parts = [[part for part in name.split("/") if part not in ("", ".")] or [name] for name in names]
    for depth in range(1, max(len(part) for part in parts) + 1):
        labels = ["/".join(part[-depth:]) for part in parts]
        if len(set(labels)) == len(labels):
            return labels
    return list(names)


def prompt_hashes(problems: Sequence[Problem], prompts: Sequence[Any]) -> dict[str, str]:
    """Problem id -> hash of its prompt as the student sees it."""
    return {
        problem.id: text_hash(prompt if isinstance(prompt, str) else json.dumps(prompt))
        for problem, prompt in zip(problems, prompts, strict=True)
    }
