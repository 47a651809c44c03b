"""StructureAwareConfig: SFTConfig plus the coefficients of the structural objectives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trl import SFTConfig

from .errors import InputError
from .losses.schedules import SCHEDULES
from .structure.languages import get_language

COEFFICIENTS = (
    "structure_weight",
    "dataflow_coef",
    "ast_path_coef",
    "divergence_coef",
    "alignment_coef",
    "embedding_coef",
    "attention_coef",
)
# what the objectives are logged as: the less, the better
LOSSES = ("nll", "weighted_nll", *(name.removesuffix("_coef") for name in COEFFICIENTS if name.endswith("_coef")))


@dataclass
class StructureAwareConfig(SFTConfig):
    r"""
    Configuration of [`StructureAwareTrainer`]: every parameter of [`~trl.SFTConfig`], plus the ones below.

    Every objective is off until its coefficient is set; with all seven at `0.0` the trainer is `SFTTrainer`. Which
    helps which student, and the formulas, are in `docs/objectives.md`.

    Parameters:
        > Parameters that control the objectives

        structure_weight (`float`, *optional*, defaults to `0.0`):
            Beta of the structure-weighted negative log-likelihood: a code token with structure score s weighs
            `1 + beta * s`, renormalised so that the code of an example keeps its total weight.
        dataflow_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the data-flow pointer: at each variable use, point at the definitions that reach it.
        ast_path_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the syntax-path prediction: the node types above the next token.
        divergence_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the pathway divergence. Needs a data set with a `rejected` column.
        alignment_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the problem-solution alignment (InfoNCE against a frozen bank of solution embeddings).
        embedding_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the embedding cosine, our reading of the loss of arXiv 2510.17598.
        attention_coef (`float`, *optional*, defaults to `0.0`):
            Coefficient of the name attention: at each variable, heads of one layer attend to earlier mentions of its
            name.
        attention_layer (`int`, *optional*, defaults to `-1`):
            Which layer; negative counts the layers that attend from the last.
        attention_heads (`float`, *optional*):
            By default all heads of the layer share the task: their mean must find the name. A number asks each of the
            first heads to find it; below 1 it is the share of them.
        reasoning_weight (`float`, *optional*, defaults to `1.0`):
            Weight of the supervised tokens outside code, before renormalisation per example.
        code_weight (`float`, *optional*, defaults to `1.0`):
            Weight of the supervised tokens inside code, before renormalisation per example.
        divergence_margin (`float`, *optional*, defaults to `0.0`):
            Gamma: how many nats the right token must lead the wrong one by.

        > Parameters that control the schedule

        structure_schedule (`str`, *optional*, defaults to `"linear"`):
            How every coefficient grows to its value: `"constant"`, `"linear"` or `"cosine"`.
        structure_ramp_ratio (`float`, *optional*, defaults to `0.1`):
            Share of the optimizer steps over which it grows.

        > Parameters that control the structure and the heads

        structure_language (`str`, *optional*, defaults to `"python"`):
            Language of the code in the completions.
        structure_num_ancestors (`int`, *optional*, defaults to `4`):
            Number of ancestors whose types are predicted.
        structure_head_rank (`int`, *optional*, defaults to `64`):
            Rank of the projections of the heads.
        structure_head_learning_rate (`float`, *optional*):
            Learning rate of the heads. Defaults to `learning_rate`.
        structure_temperature (`float`, *optional*, defaults to `0.1`):
            Temperature of the alignment's InfoNCE.
        structure_cache_size (`int`, *optional*, defaults to `20000`):
            Number of examples whose analysed structure the collator remembers, in a temporary file that all
            data-loader workers share; `0` turns the cache off.

        > Parameters that control the bank of solutions (alignment and embedding cosine)

        alignment_encoder (`str`, *optional*, defaults to `"fingerprint"`):
            What embeds the solutions: `"fingerprint"` (their structure, no model needed), the id of a code encoder on
            the Hub such as `microsoft/codebert-base`, or a folder with one.
        alignment_encoder_revision (`str`, *optional*):
            Branch, tag or commit of the encoder on the Hub.
        alignment_bank (`str`, *optional*):
            Folder of a bank made by `structdistill embed`, or where to keep the one made on first use. By default the
            fingerprints are made anew, and the bank of an encoder is kept in `output_dir`.
    """

    structure_weight: float = field(
        default=0.0,
        metadata={"help": "Beta of the structure-weighted NLL; a code token with score s weighs 1 + beta * s."},
    )
    dataflow_coef: float = field(default=0.0, metadata={"help": "Coefficient of the data-flow pointer."})
    ast_path_coef: float = field(default=0.0, metadata={"help": "Coefficient of the syntax-path prediction."})
    divergence_coef: float = field(
        default=0.0, metadata={"help": "Coefficient of the pathway divergence; needs a `rejected` column."}
    )
    alignment_coef: float = field(default=0.0, metadata={"help": "Coefficient of the problem-solution alignment."})
    embedding_coef: float = field(default=0.0, metadata={"help": "Coefficient of the embedding cosine."})
    attention_coef: float = field(default=0.0, metadata={"help": "Coefficient of the name attention."})
    reasoning_weight: float = field(default=1.0, metadata={"help": "Weight of supervised tokens outside code."})
    code_weight: float = field(default=1.0, metadata={"help": "Weight of supervised tokens inside code."})
    divergence_margin: float = field(default=0.0, metadata={"help": "Margin of the pathway divergence, in nats."})
    structure_schedule: str = field(
        default="linear",
        metadata={"help": "How coefficients grow: 'constant', 'linear' or 'cosine'.", "choices": list(SCHEDULES)},
    )
    structure_ramp_ratio: float = field(
        default=0.1, metadata={"help": "Share of the optimizer steps over which the coefficients grow."}
    )
    structure_language: str = field(default="python", metadata={"help": "Language of the code in completions."})
    structure_num_ancestors: int = field(default=4, metadata={"help": "Number of ancestor types to predict."})
    structure_head_rank: int = field(default=64, metadata={"help": "Rank of the heads' projections."})
    structure_head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the heads; defaults to `learning_rate`."}
    )
    attention_layer: int = field(
        default=-1, metadata={"help": "Layer of the name attention; negative counts from the last that attends."}
    )
    attention_heads: float | None = field(
        default=None,
        metadata={"help": "Heads that must each find names; below 1: the share of them. Default: all share the task."},
    )
    structure_temperature: float = field(default=0.1, metadata={"help": "Temperature of the alignment's InfoNCE."})
    structure_cache_size: int = field(
        default=20_000, metadata={"help": "Number of examples whose structure the collator remembers; 0: none."}
    )
    alignment_encoder: str = field(
        default="fingerprint",
        metadata={"help": "What embeds the solutions: 'fingerprint', or a code encoder (id on the Hub, or folder)."},
    )
    alignment_encoder_revision: str | None = field(
        default=None, metadata={"help": "Branch, tag or commit of the encoder on the Hub."}
    )
    alignment_bank: str | None = field(
        default=None, metadata={"help": "Folder of the bank of solutions that `structdistill embed` made."}
    )

    def __post_init__(self) -> None:
        self._check_ranges()
        if self.uses_structure:
            self._check_combinations()
        if self.greater_is_better is None and _is_a_loss(self.metric_for_best_model):
            self.greater_is_better = False  # TrainingArguments knows only names that end with "loss"
        super().__post_init__()

    def _check_ranges(self) -> None:
        for name in (*COEFFICIENTS, "reasoning_weight", "divergence_margin"):
            _require(name, getattr(self, name), lambda value: value >= 0, "a number >= 0")
        for name in ("code_weight", "structure_temperature"):
            _require(name, getattr(self, name), lambda value: value > 0, "a number > 0")
        counts = (
            ("structure_num_ancestors", 1),
            ("structure_head_rank", 1),
            ("structure_cache_size", 0),
        )
        for name, least in counts:
            whole = f"a whole number >= {least}"
            _require(name, getattr(self, name), lambda value, n=least: value >= n and int(value) == value, whole)
        if self.attention_heads is not None:
            _require(
                "attention_heads",
                self.attention_heads,
                lambda value: 0 < value < 1 or value >= 1 and int(value) == value,
                "a whole number >= 1, a share between 0 and 1, or None for all heads together",
            )
        _require("structure_ramp_ratio", self.structure_ramp_ratio, lambda v: 0 <= v <= 1, "a share between 0 and 1")
        if self.structure_head_learning_rate is not None:
            _require("structure_head_learning_rate", self.structure_head_learning_rate, lambda v: v > 0, "> 0")
        if self.structure_schedule not in SCHEDULES:
            raise InputError(
                f"structure_schedule must be one of {', '.join(SCHEDULES)}; found '{self.structure_schedule}'."
            )

    def _check_combinations(self) -> None:
        """Refuse what the objectives cannot keep, with the reason and the way out."""
        try:
            get_language(self.structure_language)
        except InputError as error:
            raise InputError(f"structure_language: {error}") from error
        if self.weights_tokens and self.loss_type == "dft":
            raise InputError(
                "loss_type='dft' rescales each token by its own probability, and so does the structure-weighted loss "
                "by its structure: they do not combine. Set loss_type='nll', or structure_weight=0.0 and both "
                "reasoning_weight and code_weight to 1.0."
            )
        if self.label_smoothing_factor > 0:
            raise InputError(
                "label_smoothing_factor needs the full logits, which the structural objectives never build; set it "
                "to 0, or all structure coefficients and weights to plain SFT."
            )
        finds_by_beginning = self.uses_bank or self.divergence_coef > 0
        if finds_by_beginning and self.truncation_mode == "keep_end" and self.max_length is not None:
            raise InputError(
                "truncation_mode='keep_end' cuts off the beginning of an example, by which divergence_coef, "
                "alignment_coef and embedding_coef find its wrong completions and its solution; use 'keep_start', or "
                "set these three to 0.0."
            )
        if self.alignment_encoder == "fingerprint" and self.alignment_encoder_revision is not None:
            raise InputError(
                "alignment_encoder_revision names a revision of a model on the Hub, but alignment_encoder is "
                "'fingerprint', which is none; leave it out, or name an encoder."
            )
        refuse_split_sequences(getattr(self, "parallelism_config", None))

    @property
    def weights_tokens(self) -> bool:
        """Whether the negative log-likelihood is weighted at all."""
        return self.structure_weight > 0 or self.reasoning_weight != 1.0 or self.code_weight != 1.0

    @property
    def uses_structure(self) -> bool:
        """Whether anything differs from plain SFT."""
        return self.weights_tokens or any(getattr(self, name) > 0 for name in COEFFICIENTS)

    @property
    def uses_bank(self) -> bool:
        """Whether an objective compares with the embeddings of the solutions."""
        return self.alignment_coef > 0 or self.embedding_coef > 0


def refuse_split_sequences(parallelism: Any) -> None:
    """Refuse an accelerate `ParallelismConfig` that gives each rank a part of every sequence."""
    if parallelism is not None and (parallelism.cp_enabled or parallelism.sp_enabled):
        raise InputError(
            "Context and sequence parallelism split each sequence over the ranks, but an objective needs all of an "
            "example's states in one place; set cp_size and sp_size to 1, or all structure coefficients and weights "
            "to plain SFT."
        )


def _is_a_loss(metric: str | None) -> bool:
    """Whether a metric is one that the trainer logs for the objectives, or the `nll` of one of several data sets."""
    name = (metric or "").removeprefix("eval_")
    return name in LOSSES or name.endswith("_nll")


def _require(name: str, value: Any, holds: Callable[[Any], bool], expected: str) -> None:
    try:
        good = math.isfinite(value) and holds(value)
    except TypeError:
        good = False
    if not good:
        raise InputError(f"{name} must be {expected}; found {value!r}.")
