"""StructureAwareConfig: every field is documented, and what cannot be kept is refused with the reason."""

import dataclasses
import re

import pytest
from accelerate.utils import ParallelismConfig
from datasets import Dataset
from peft import PromptTuningConfig
from trl import SFTConfig

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.errors import InputError
from hf_structdistill.training_args import COEFFICIENTS, refuse_split_sequences

from . import tiny

OWN = sorted(
    {field.name for field in dataclasses.fields(StructureAwareConfig)}
    - {field.name for field in dataclasses.fields(SFTConfig)}
)


def config(**settings):
    on = {"attention_coef": 0.3} | settings
    return StructureAwareConfig(output_dir="unused", use_cpu=True, bf16=False, **on)


@pytest.mark.parametrize("name", OWN)
def test_every_field_is_documented_with_its_default(name):
    field = next(field for field in dataclasses.fields(StructureAwareConfig) if field.name == name)
    assert len(field.metadata["help"]) > 10
    line = re.search(rf"^ {{8}}{name} \((.*)\):$", StructureAwareConfig.__doc__, re.MULTILINE)
    assert line, "no entry in the docstring"
    default = '"' + field.default + '"' if isinstance(field.default, str) else str(field.default)
    expected = "*optional*" if field.default is None else f"*optional*, defaults to `{default}`"
    assert line.group(1).endswith(expected), line.group(1)


@pytest.mark.parametrize(
    "settings, words",
    [
        *[({name: -0.1}, [name, ">= 0", "-0.1"]) for name in COEFFICIENTS],
        ({"dataflow_coef": float("nan")}, ["dataflow_coef", "nan"]),
        ({"ast_path_coef": float("inf")}, ["ast_path_coef", "inf"]),
        ({"divergence_coef": "much"}, ["divergence_coef", "'much'"]),
        ({"reasoning_weight": -1.0}, ["reasoning_weight"]),
        ({"code_weight": 0.0}, ["code_weight", "> 0"]),
        ({"divergence_margin": -1.0}, ["divergence_margin"]),
        ({"structure_temperature": 0.0}, ["structure_temperature", "> 0"]),
        ({"structure_ramp_ratio": 1.5}, ["structure_ramp_ratio", "between 0 and 1"]),
        ({"structure_schedule": "quadratic"}, ["structure_schedule", "cosine", "quadratic"]),
        ({"structure_num_ancestors": 0}, ["structure_num_ancestors", ">= 1"]),
        ({"structure_num_ancestors": 2.5}, ["structure_num_ancestors", "whole"]),
        ({"structure_head_rank": 0}, ["structure_head_rank"]),
        ({"structure_cache_size": -1}, ["structure_cache_size"]),
        ({"attention_heads": 0}, ["attention_heads", "share"]),
        ({"attention_heads": 1.5}, ["attention_heads", "whole number"]),
        ({"structure_head_learning_rate": 0.0}, ["structure_head_learning_rate"]),
        ({"structure_language": "cobol"}, ["structure_language", "cobol", "python"]),
        ({"structure_language": ""}, ["structure_language"]),
        ({"loss_type": "dft", "structure_weight": 0.5}, ["dft", "nll", "structure_weight=0.0"]),
        ({"label_smoothing_factor": 0.1}, ["label_smoothing_factor", "full logits"]),
        ({"truncation_mode": "keep_end", "divergence_coef": 0.1}, ["keep_end", "beginning", "keep_start"]),
        ({"truncation_mode": "keep_end", "alignment_coef": 0.1}, ["keep_end"]),
        ({"alignment_encoder_revision": "main"}, ["alignment_encoder_revision", "fingerprint"]),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(settings, words):
    with pytest.raises(InputError) as refused:
        config(**settings)
    assert all(word in str(refused.value) for word in words), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "dft", "structure_weight": 0.0},  # the heads' terms stand beside any loss of the tokens
        {"loss_type": "dft", "label_smoothing_factor": 0.1, "structure_language": "cobol", **tiny.ALL_OFF},
        {"truncation_mode": "keep_end"},
        {"truncation_mode": "keep_end", "divergence_coef": 0.1, "max_length": None},
        {"structure_language": "js"},
        {"alignment_encoder": "someone/encoder", "alignment_encoder_revision": "main"},
    ],
)
def test_what_can_be_kept_is_not_refused(settings):
    config(**settings)


@pytest.mark.parametrize("settings", [{"cp_size": 2}, {"sp_size": 2, "sp_backend": "deepspeed"}])
def test_sequences_split_over_ranks(settings):
    with pytest.raises(InputError, match="cp_size and sp_size"):
        refuse_split_sequences(ParallelismConfig(**settings))
    refuse_split_sequences(ParallelismConfig(dp_replicate_size=2))


def make_trainer(folder, data=None, pieces=None, **settings):
    return StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(folder, **{"max_steps": 1, "attention_coef": 0.3, **settings})),
        train_dataset=data or tiny.dataset(4),
        processing_class=tiny.tokenizer(),
        **(pieces or {}),
    )


@pytest.mark.parametrize(
    "pieces, words",
    [
        ({"compute_loss_func": lambda outputs, labels, num_items_in_batch=None: 0.0}, "second forward"),
        ({"peft_config": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)}, "virtual tokens.*LoRA"),
    ],
)
def test_what_the_trainer_refuses(tmp_path, pieces, words):
    with pytest.raises(InputError, match=words):
        make_trainer(tmp_path, pieces=pieces)
    make_trainer(tmp_path, pieces=pieces, **tiny.ALL_OFF)


def test_a_language_without_data_flow_trains_without_that_term(tmp_path):
    java = "class A { int f(int x) { if (x > 0) { return x; } return -x; } }"
    rows = {"prompt": ["Absolute value.\n\n"] * 2, "completion": [f"```java\n{java}\n```\n"] * 2}
    on = {"dataflow_coef": 0.1, "attention_coef": 0.1, "ast_path_coef": 0.1, "alignment_coef": 0.1}
    trainer = make_trainer(tmp_path, Dataset.from_dict(rows), structure_language="java", **on)
    trainer.train()
    logs = trainer.state.log_history[0]
    assert set(trainer.objectives) == {"ast_path", "alignment"}
    assert logs["code_share"] > 0.5 and logs["ast_path"] > 0 and "alignment" in logs


@pytest.mark.parametrize("metric", ["eval_nll", "nll", "eval_held_out_nll", *(f"eval_{n}" for n in tiny.COMPONENTS)])
def test_of_what_the_objectives_log_less_is_better(metric):
    assert config(metric_for_best_model=metric).greater_is_better is False


def test_what_is_better_is_left_to_the_user():
    assert config(metric_for_best_model="eval_nll", greater_is_better=True).greater_is_better
    assert config(metric_for_best_model="eval_accuracy").greater_is_better
    assert config(metric_for_best_model="eval_loss").greater_is_better is False
    assert config().greater_is_better is None


def test_the_best_checkpoint_is_that_of_the_least_nll(tmp_path):
    """The second step, at a learning rate that ruins the student, must not win."""
    steps = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best", "max_steps": 2, "optim": "sgd"}
    settings = {**steps, "learning_rate": 100.0, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 1}
    trainer = make_trainer(
        tmp_path, pieces={"eval_dataset": tiny.dataset(4)}, metric_for_best_model="eval_nll", **settings
    )
    trainer.train()
    found = [entry["eval_nll"] for entry in trainer.state.log_history if "eval_nll" in entry]
    assert found[0] < found[1] and trainer.state.best_metric == found[0]


def test_dft_with_heads_adds_their_terms(tmp_path):
    heads = {"dataflow_coef": 0.03, "ast_path_coef": 0.03, "attention_coef": 0.03}
    trainer = make_trainer(tmp_path, loss_type="dft", structure_schedule="constant", **heads)
    plain = make_trainer(tmp_path, loss_type="dft", **tiny.ALL_OFF)
    trainer.train()
    plain.train()
    logs = trainer.state.log_history[0]
    terms = 0.03 * (logs["dataflow"] + logs["ast_path"] + logs["attention"])
    assert logs["loss"] == pytest.approx(plain.state.log_history[0]["loss"] + terms, rel=1e-5)
