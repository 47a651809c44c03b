"""What a run depends on: the data, the student, the training, and the arm under study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Everything that the arms of a comparison share.

    Attributes:
        problems: a generated family or "generated", as `load_problems` takes it.
        train_size, test_size: problems; `test_size` is of the split that is evaluated.
        width, layers: of the student, a Llama of narrow heads trained from scratch.
        epochs, batch_size: of the training.
        reasoning: whether completions hold the scripted reasoning before the code.
        data_seed: which problems, and which compositions are held out.
    """

    problems: str = "generated"
    train_size: int = 2000
    test_size: int = 200
    width: int = 128
    layers: int = 2
    epochs: float = 4.0
    batch_size: int = 16
    reasoning: bool = True
    data_seed: int = 0


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
    """One training and its evaluation; `key` is the same whenever all of this is the same."""

    setting: Setting
    arm: Arm
    seed: int
    split: str
    learning_rate: float = 3e-3
    study: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        text = json.dumps({**asdict(self), "study": ""}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
