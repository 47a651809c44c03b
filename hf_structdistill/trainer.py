"""StructureAwareTrainer: SFTTrainer with a loss that knows the syntax tree and the data flow of the code."""

from __future__ import annotations

import functools
import inspect
import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset
from torch import Tensor, nn
from trl import SFTTrainer

from .compat import (
    AttentionRecorder,
    ForwardRecorder,
    attention_layers,
    is_chat,
    is_deepspeed_zero3_enabled,
    keep_batches_whole,
    lm_head_logits,
    unwrap,
    without_rejected,
)
from .data_collator import StructureAwareDataCollator
from .errors import InputError
from .heads import HeadsCallback
from .hub.training import PushesToHub
from .losses import (
    AstPath,
    DataflowPointer,
    EmbeddingCosine,
    ForwardState,
    NameAttention,
    Objective,
    PathwayDivergence,
    ProblemSolutionAlignment,
    WeightedNLL,
    schedule_factor,
    target_mask,
)
from .model_card import EXAMPLE_PROMPT, describe_quantization, training_curves, write_student_card
from .model_names import cached_revision
from .non_finite import explain_non_finite
from .problems.prompting import as_trained
from .side_table import SideTable
from .supervision import learn_rejected, learn_solutions
from .training_args import StructureAwareConfig, refuse_split_sequences

logger = logging.getLogger(__name__)

FEATURES = ("input_ids", "labels", "seq_lengths")
COVERAGE_ROWS = 64
NOTHING_ON = (
    "Every coefficient of StructureAwareConfig is 0.0: this trains as SFTTrainer does. docs/objectives.md says which "
    "objective helps which student; one from scratch, attention_coef=0.3, attention_heads=0.5, ast_path_coef=1.0."
)

# Popped before the forward: the backbone would be handed every key of the batch.
STRUCTURE_KEYS = (
    "structure_score",
    "code_mask",
    "segment_ids",
    "ancestor_types",
    "dataflow_uses",
    "dataflow_sources",
    "variable_positions",
    "name_ids",
    "code_starts",
    "bank_rows",
    "divergence",
    "structure_counts",
)


class StructureAwareTrainer(PushesToHub, SFTTrainer):
    """
    A drop-in for [`~trl.SFTTrainer`] whose loss knows the structure of the code in the completions.

    Arguments are those of `SFTTrainer`; `args` is a [`StructureAwareConfig`]. The data set needs nothing more than
    SFTTrainer's: structure is found from the token ids. With all coefficients at 0.0 it trains exactly as SFTTrainer
    does. The heads of the objectives live beside the model: they are saved with checkpoints and never exported.

    Example:

    ```python
    from hf_structdistill import StructureAwareConfig, StructureAwareTrainer

    trainer = StructureAwareTrainer(
        model="Qwen/Qwen2.5-Coder-0.5B",
        args=StructureAwareConfig(output_dir="student", attention_coef=0.3),
        train_dataset=load_dataset("me/traces", "sft", split="train"),
    )
    trainer.train()
    ```

    Raises:
        InputError: a tokenizer whose bytes cannot be recovered, an objective without the data it needs.
    """

    _tag_names = ["trl", "sft", "structdistill"]
    _name = "Structure-aware SFT"

    def __init__(self, model: Any, args: StructureAwareConfig | None = None, *in_order: Any, **named: Any) -> None:
        # as SFTTrainer takes them, in its order too
        kwargs = inspect.signature(SFTTrainer.__init__).bind(self, model, args, *in_order, **named).arguments
        for name in ("self", "model", "args"):
            del kwargs[name]
        if args is None:
            name = model if isinstance(model, str) else model.config._name_or_path
            args = StructureAwareConfig(f"{str(name).rstrip('/').split('/')[-1] or 'student'}-structdistill")
        if not isinstance(args, StructureAwareConfig):
            raise InputError(
                f"args must be a StructureAwareConfig; found {type(args).__name__}. It takes the same arguments."
            )
        self.objectives = nn.ModuleDict()
        self.heads: HeadsCallback | None = None
        self._step_counts: dict[str, Tensor] | None = None
        self._last_forward: tuple[ForwardState, dict[str, Tensor]] | None = None
        self._last_strength = 0.0
        self._component_totals = {"train": defaultdict(float), "eval": defaultdict(float)}
        raw_dataset = kwargs.get("train_dataset")
        self._trained_on_chat = False
        if isinstance(raw_dataset, Dataset | IterableDataset):  # SFTTrainer refuses anything else
            kwargs["train_dataset"] = without_rejected(raw_dataset)
            self._trained_on_chat = is_chat(next(iter(kwargs["train_dataset"])))
        custom_collator = kwargs.get("data_collator")
        if args.uses_structure:
            keep_batches_whole(args)
        super().__init__(model, args, **kwargs)
        if not args.uses_structure:
            logger.warning(NOTHING_ON)
            return
        self._refuse_what_hides_states(kwargs.get("compute_loss_func"))
        self.side_table = SideTable()
        if custom_collator is None:
            self.data_collator = self._build_collator()
        elif not isinstance(custom_collator, StructureAwareDataCollator):
            raise InputError(
                f"data_collator must be a StructureAwareDataCollator, or left out; found "
                f"{type(custom_collator).__name__}, whose batches carry no structure."
            )
        else:
            self.side_table = custom_collator.side_table
        # A private generator state: plain SFT and this trainer draw the same dropout and shuffling.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(args.seed)
            self._build_objectives(raw_dataset)
        self.objectives.to(self.accelerator.device)
        self.heads = HeadsCallback(self.objectives, args, self.accelerator)
        self.add_callback(self.heads)
        self._report_coverage()

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        # evaluation sets come this way as well, those given to `evaluate` included
        return super()._prepare_dataset(without_rejected(dataset), *args, **kwargs)

    # ---- setting up ------------------------------------------------------------------------------------------------

    def _refuse_what_hides_states(self, compute_loss_func: Any) -> None:
        """Settings that show only here, under which token t is not where the objectives look for it."""
        if self._is_vision_dataset:
            raise InputError("The structural objectives read code from text; found a data set with images.")
        if compute_loss_func is not None:
            raise InputError(
                "compute_loss_func takes the loss from a second forward, which the structural objectives do not see; "
                "leave it out, or set all structure coefficients and weights to plain SFT."
            )
        if any(config.is_prompt_learning for config in getattr(self.model, "peft_config", {}).values()):
            raise InputError(
                "Prompt-learning adapters put virtual tokens in front of every example, which moves the states the "
                "structural objectives read; use LoRA, or set all structure coefficients and weights to plain SFT."
            )
        if self.args.divergence_coef and is_deepspeed_zero3_enabled():
            raise InputError(
                "divergence_coef reads rows of the output embedding after the forward, when DeepSpeed ZeRO-3 has "
                "taken them apart again; set it to 0.0, or shard with FSDP2."
            )
        refuse_split_sequences(self.accelerator.parallelism_config)

    def _build_collator(self) -> StructureAwareDataCollator:
        theirs = self.data_collator
        return StructureAwareDataCollator(
            tokenizer=self._tokenizer,
            language=self.args.structure_language,
            num_ancestors=self.args.structure_num_ancestors,
            side_table=self.side_table,
            cache_size=self.args.structure_cache_size,
            pad_token_id=theirs.pad_token_id,
            padding_free=theirs.padding_free,
            return_position_ids=theirs.return_position_ids,
            pad_to_multiple_of=theirs.pad_to_multiple_of,
            wrapped=self.args.packing and self.args.packing_strategy == "wrapped",
        )

    def _build_objectives(self, raw_dataset: Any) -> None:
        args = self.args
        # not the config's hidden_size: OPT-350m projects its last states to another width
        width = unwrap(self.model).get_output_embeddings().in_features
        rank = args.structure_head_rank
        self._coefficients: dict[str, float] = {}

        def add(objective: Objective, coefficient: float) -> None:
            self.objectives[objective.name] = objective
            self._coefficients[objective.name] = coefficient

        if args.weights_tokens:
            add(WeightedNLL(args.structure_weight, args.reasoning_weight, args.code_weight), 1.0)
        finds_variables = self.data_collator.annotator.language.analyse_dataflow is not None
        if (args.dataflow_coef or args.attention_coef) and not finds_variables:
            logger.info(
                "dataflow_coef or attention_coef is set, but there is no data flow for this language: they are off."
            )
        if args.dataflow_coef and finds_variables:
            add(DataflowPointer(width, rank), args.dataflow_coef)
        if args.attention_coef and finds_variables and self._sees_attention():
            add(NameAttention(args.attention_heads), args.attention_coef)
        if args.ast_path_coef:
            types = self.data_collator.annotator.num_node_types
            add(AstPath(width, types, self.data_collator.num_ancestors, rank), args.ast_path_coef)
        if args.divergence_coef and self._learn_rejected(raw_dataset):
            add(PathwayDivergence(args.divergence_margin), args.divergence_coef)
        if args.alignment_coef or args.embedding_coef:
            bank = torch.from_numpy(learn_solutions(self, raw_dataset).vectors)
            if args.alignment_coef:
                add(ProblemSolutionAlignment(width, bank, args.structure_temperature), args.alignment_coef)
            if args.embedding_coef:
                add(EmbeddingCosine(width, bank), args.embedding_coef)

    def _sees_attention(self) -> bool:
        layers, wanted = attention_layers(unwrap(self.model)), self.args.attention_layer
        # a compiled model would be compiled anew for every step's recorder
        if self.args.torch_compile or not layers:
            logger.warning(
                "attention_coef is set, but transformers does not dispatch the attention of this model "
                f"({type(unwrap(self.model)).__name__}), or torch_compile hides it: the term is off."
            )
            return False
        if wanted not in layers and not -len(layers) <= wanted < 0:
            known = ", ".join(map(str, layers))
            raise InputError(
                f"attention_layer must be a layer of the model that attends ({known}), or count these from the last, "
                f"between -{len(layers)} and -1; found {wanted}."
            )
        self._attention_layer = wanted if wanted >= 0 else layers[wanted]
        return True

    def _learn_rejected(self, raw_dataset: Any) -> bool:
        found = learn_rejected(self, raw_dataset)
        if not found:
            logger.info("divergence_coef is set but the data set has no `rejected` completions: the term is off.")
        return found

    def _report_coverage(self) -> None:
        if isinstance(self.train_dataset, IterableDataset):
            return
        number = len(self.train_dataset)
        # to the end if need be: a mixture often begins with something else than code
        for start in range(0, number, COVERAGE_ROWS):
            rows = [self.train_dataset[row] for row in range(start, min(start + COVERAGE_ROWS, number))]
            # of the rows, not of the data set: a transform set on it makes the columns
            features = [{name: row[name] for name in FEATURES if name in row} for row in rows]
            if self.data_collator(features)["structure_counts"][0] > 0:
                return
        raise InputError(
            f"The training set ({number} rows) holds no {self.args.structure_language} code that could be found: "
            "expected a fenced block, or bare code, in the completions. Check the data set, or set all structure "
            "coefficients to 0.0 to train without structure."
        )

    # ---- one optimizer step ----------------------------------------------------------------------------------------

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """Also count the items of each objective over all micro-batches and ranks of the step."""
        batches, num_items = super().get_batch_samples(epoch_iterator, num_batches, device)
        # num_items_in_batch knows only tokens; None means that the model's loss is averaged per micro-batch
        counted = num_items is not None and len(self.objectives) > 0
        self._step_counts = self._count_items(batches, device) if counted else None
        return batches, num_items

    def _count_items(self, batches: list[Mapping[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
        for batch in batches:
            _check_carries_structure(batch)
        names = list(self.objectives)
        counts = torch.stack([sum(self.objectives[name].count(batch) for batch in batches) for name in names])
        counts = counts.to(device)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, "sum")
        return dict(zip(names, counts, strict=True))

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """SFTTrainer's, and a loss that is not finite ends the training before the weights take it in.

        Raises:
            InputError: names the example at fault.
        """
        try:
            loss = super().training_step(*args, **kwargs)
            # no stall of its own: the training loop reads this very number next
            if self._last_forward is not None and not torch.isfinite(loss):
                reason = explain_non_finite(*self._last_forward, self._tokenizer)
                raise InputError(f"The loss of step {self.state.global_step + 1} is {loss.item()}: {reason}")
            return loss
        finally:
            self._last_forward = None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """SFTTrainer's loss plus the structural terms. Without any, `nll` is logged all the same, to compare by."""
        plain = {key: value for key, value in inputs.items() if key not in STRUCTURE_KEYS}
        if not self.objectives:
            watched = ForwardRecorder(model)
            result = super().compute_loss(watched, plain, return_outputs, num_items_in_batch)
            self._record("nll", -watched.log_probs.sum(), watched.label_mask.sum())
            return result
        _check_carries_structure(inputs)
        with ExitStack() as listening:
            recorder = listening.enter_context(ForwardRecorder(model).listening(unwrap(self.model)))
            attention = None
            if "attention" in self.objectives:
                attention = AttentionRecorder(unwrap(self.model), self._attention_layer)
                listening.enter_context(attention.listening())
            result = super().compute_loss(recorder, plain, return_outputs, num_items_in_batch)
        loss, outputs = result if return_outputs else (result, None)
        state = self._forward_state(recorder, attention, inputs)
        scaled_over_step = num_items_in_batch is not None
        loss = loss + self._structure_loss(state, scaled_over_step).to(loss.dtype)
        return (loss, outputs) if return_outputs else loss

    def _forward_state(
        self, recorder: ForwardRecorder, attention: AttentionRecorder | None, inputs: Mapping[str, Tensor]
    ) -> ForwardState:
        # log_probs (B, T-1) belong to tokens 1..T-1; position 0 is predicted by nothing
        log_probs = nn.functional.pad(recorder.log_probs.float(), (1, 0))
        return ForwardState(
            hidden_states=recorder.hidden_states,
            log_probs=log_probs,
            target_mask=target_mask(inputs["labels"]),
            batch=inputs,
            token_logits=functools.partial(lm_head_logits, unwrap(self.model)),
            attention=None if attention is None else attention.read(self.model.training),
        )

    def _structure_loss(self, state: ForwardState, scaled_over_step: bool) -> Tensor:
        counts = self._step_counts if scaled_over_step and self.model.training else None
        strength = self._strength()
        total, values = state.zero(), {}
        with torch.autocast(state.log_probs.device.type, enabled=False):
            for name, objective in self.objectives.items():
                local = objective.count(state.batch)
                if isinstance(objective, WeightedNLL):
                    # the base loss is the plain NLL: add the difference
                    value = objective(state, strength)
                    term = value + state.log_probs.sum()
                else:
                    value = objective(state)
                    term = strength * self._coefficients[name] * value
                total = total + term / (local if counts is None else counts[name]).clamp(min=1)
                self._record(name, value, local)
                values[name] = value.detach()
        if self.model.training:
            self._last_forward, self._last_strength = (state, values), strength
        self._record("nll", -state.log_probs.sum(), state.target_mask.sum())
        self._record_structure(state.batch["structure_counts"], state.target_mask.sum())
        if counts is not None and self.args.average_tokens_across_devices:
            # as SFTTrainer: counts are of all ranks, and DDP averages the gradients over them
            total = total * (self.accelerator.num_processes // self.get_tp_size())
        return total

    def _strength(self) -> float:
        """Of the structural terms: the schedule's in training; all of it in evaluation, so that losses compare."""
        if not self.model.training:
            return 1.0
        progress = self.state.global_step / max(self.state.max_steps, 1)
        return schedule_factor(self.args.structure_schedule, progress, self.args.structure_ramp_ratio)

    # ---- logs ------------------------------------------------------------------------------------------------------

    def _record(self, name: str, value: Tensor, count: Tensor) -> None:
        totals = self._component_totals["train" if self.model.training else "eval"]
        exact = torch.float32 if value.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        totals[f"{name}/sum"] += value.detach().to(exact)
        totals[f"{name}/count"] += count.detach().to(exact)

    def _record_structure(self, counts: Tensor, tokens: Tensor) -> None:
        self._record("code_share", counts[0], tokens)
        self._record("unparsed_share", counts[2], counts[1])

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        """Trainer's, and each component's mean over its items under the name of the evaluated data set."""
        output = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix=metric_key_prefix
        )
        # not left to `log`: SFTTrainer's knows no names but "eval", and is not called after `predict`
        means = self._component_means("eval")
        output.metrics.update({f"{metric_key_prefix}_{name}": mean for name, mean in means.items()})
        return output

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add each component's mean over its items since the last log, over all ranks."""
        mode = "train" if self.model.training else "eval"
        means = self._component_means(mode)
        self._metrics[mode].update({name: [mean] for name, mean in means.items()})
        if means and mode == "train" and self.objectives:
            self._metrics[mode]["structure_strength"] = [self._last_strength]
        super().log(logs, start_time)

    def _component_means(self, mode: str) -> dict[str, float]:
        """Mean of each component over its items on all ranks since the last call; none of those without items."""
        totals = self._component_totals[mode]
        if not totals:
            return {}
        names = sorted(totals)
        values = torch.stack([totals[name].to(self.accelerator.device) for name in names])
        if self.args.world_size > 1:
            values = self.accelerator.reduce(values, "sum")
        totals.clear()
        sums = dict(zip(names, values.tolist(), strict=True))
        components = sorted({name.rsplit("/", 1)[0] for name in names})
        return {name: sums[f"{name}/sum"] / sums[f"{name}/count"] for name in components if sums[f"{name}/count"]}

    # ---- card ------------------------------------------------------------------------------------------------------

    def describe_objectives(self) -> list[dict[str, Any]]:
        """Name, source and settings (coefficient included) of each objective in use, as a card shows them."""
        return [
            {
                "name": name,
                "citation": objective.citation,
                "config": {"coefficient": self._coefficients[name], **objective.get_config_dict()},
            }
            for name, objective in self.objectives.items()
        ]

    def create_model_card(
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """Write this package's card into `output_dir`; TRL's own template lookup is private to TRL."""
        if not self.is_world_process_zero():
            return
        config = unwrap(self.model).config
        write_student_card(
            self.args.output_dir,
            name=model_name,
            base_model=config._name_or_path or None,
            base_revision=cached_revision(config._name_or_path, (self.args.model_init_kwargs or {}).get("revision")),
            datasets=[dataset_name] if dataset_name else [],
            tags=[tags] if isinstance(tags, str) else tags or [],
            objectives=self.describe_objectives(),
            hyperparameters=self.args,
            curves=training_curves(self.state.log_history),
            prompt_format="chat" if self._trained_on_chat else "plain",
            example_prompt=as_trained(self._tokenizer, EXAMPLE_PROMPT),
            repo_id=self.hub_model_id,
            quantization=describe_quantization(config),
        )

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        card = Path(output_dir or self.args.output_dir) / "README.md"
        before = card.read_bytes() if card.is_file() else None
        super().save_model(output_dir, _internal_call)
        # peft 0.21's save_pretrained writes its own card, or its metadata into ours: the base's local path included
        if self.args.should_save:
            card.unlink(missing_ok=True) if before is None else card.write_bytes(before)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.heads is not None and self.args.should_save:
            self.heads.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.heads is not None and checkpoint is not None:
            self.heads.load(checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self.heads is not None:
            self.heads.load_beside(self.state.best_model_checkpoint)


def _check_carries_structure(batch: Mapping[str, Tensor]) -> None:
    if "segment_ids" not in batch:
        raise InputError("The batch carries no structure; build it with StructureAwareDataCollator.")
