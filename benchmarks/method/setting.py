"""What a run depends on: the data, the student, the training, and the arm under study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from hf_structdistill.problems import Problem


class Setting(Protocol):
    """Everything that the arms of a comparison share: data, student, length of the training. A frozen dataclass."""

    epochs: float
    batch_size: int
    max_length: int
    weight_decay: float

    def examples(self, rejected: bool) -> list[dict[str, str]]:
        """Training rows: prompt, completion and, where asked for, rejected."""

    def student(self, rows: Sequence[dict[str, str]], seed: int) -> tuple[Any, Any]:
        """Model and tokenizer to train; the same seed gives the same weights."""

    def held_out(self, split: str) -> list[Problem]:
        """Problems to solve after the training."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: as tables show it.
        settings: fields of StructureAwareConfig; None trains with SFTTrainer itself.
        rejected: whether the data set carries the failing mutant of each problem.
    """

    name: str
    settings: dict[str, Any] | None = None
    rejected: bool = False


@dataclass(frozen=True)
class Run:
    """One training and its evaluation on a split; `key` is the same whenever all of this is the same."""

    setting: Setting
    arm: Arm
    seed: int
    split: str
    learning_rate: float = 3e-3
    study: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        text = json.dumps({**asdict(self), "study": "", "kind": type(self.setting).__name__}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def training(self) -> str:
        """The same for runs that differ only in the split that is solved after the training."""
        return replace(self, split="").key
