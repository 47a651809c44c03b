"""Every objective on, under the settings that people train with: what changes nothing changes nothing."""

import math

import numpy as np
import pytest
import torch
from transformers import OPTConfig, OPTForCausalLM

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.errors import InputError

from . import tiny

STEP = {"max_steps": 1, "per_device_train_batch_size": 4}


def make_trainer(folder, *, model=None, rows=8, pieces=None, **options):
    return StructureAwareTrainer(
        model=tiny.student() if model is None else model,
        args=StructureAwareConfig(**tiny.settings(folder, **(tiny.ALL_ON | STEP | options))),
        train_dataset=tiny.dataset(rows, columns=tiny.WITH_REJECTED),
        processing_class=tiny.tokenizer(),
        **(pieces or {}),
    )


def first_step(trainer):
    """Log of one step, and the gradients of model and heads as plain gradient descent shows them."""
    named = [*trainer.model.named_parameters(), *trainer.objectives.named_parameters()]
    before = {name: weights.detach().clone() for name, weights in named}
    if trainer.heads.parameters:
        trainer.heads.optimizer = torch.optim.SGD(trainer.heads.parameters, lr=1.0)
    trainer.train()
    return trainer.state.log_history[0], {name: weights.detach() - before[name] for name, weights in named}


PLAIN_DESCENT = {"optim": "sgd", "learning_rate": 1.0, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return first_step(make_trainer(tmp_path_factory.mktemp("usual"), **PLAIN_DESCENT))


def assert_same_step(found, expected):
    assert found[0]["loss"] == pytest.approx(expected[0]["loss"], rel=1e-6)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-5, atol=1e-7, msg=name)


def checkpointed(folder, reentrant, **options):
    kind = {"activation_checkpointing_kwargs": {"use_reentrant": reentrant}}
    trainer = make_trainer(folder, **(PLAIN_DESCENT | {"activation_checkpointing": True} | kind | options))
    step = first_step(trainer)
    assert trainer.model.is_activation_checkpointing
    return step


def test_activation_checkpointing(usual, tmp_path):
    assert_same_step(checkpointed(tmp_path, reentrant=False), usual)


def test_reentrant_checkpointing(tmp_path):
    """It cuts the gradients of queries and keys off; everything else is the same."""
    with pytest.raises(InputError, match="use_reentrant"):
        checkpointed(tmp_path, reentrant=True)
    options = PLAIN_DESCENT | {"attention_coef": 0.0}
    expected = first_step(make_trainer(tmp_path, **options))
    assert_same_step(checkpointed(tmp_path, reentrant=True, **options), expected)


@pytest.mark.parametrize("trained", ["layers.1.mlp", "layers.1.self_attn.k_proj"])
def test_partly_frozen(tmp_path, trained, caplog):
    """Where nothing below the queries and keys is trained, name attention has nothing to teach, and says so."""
    model = tiny.student()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained in name)
    log, moved = first_step(make_trainer(tmp_path, model=model, **PLAIN_DESCENT))
    assert math.isfinite(log["attention"])
    assert any(moved[name].abs().max() > 0 for name in moved if trained in name)
    assert ("is measured, and teaches nothing" in caplog.text) == trained.endswith("mlp")


def test_model_as_a_folder(usual, tmp_path):
    tiny.student().save_pretrained(tmp_path / "base")
    trainer = make_trainer(tmp_path / "out", model=str(tmp_path / "base"), **PLAIN_DESCENT)
    assert_same_step(first_step(trainer), usual)


def test_states_narrower_than_the_layers(tmp_path):
    """OPT-350m projects the last states down before the output head reads them."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "word_embed_proj_dim": 16, "ffn_dim": 64, "num_hidden_layers": 2}
    config = OPTConfig(vocab_size=600, num_attention_heads=4, max_position_embeddings=2048, pad_token_id=1, **sizes)
    log, moved = first_step(make_trainer(tmp_path, model=OPTForCausalLM(config), **PLAIN_DESCENT))
    assert all(math.isfinite(log[name]) for name in tiny.COMPONENTS)
    assert moved["ast_path.trunk.weight"].shape == (64, 16) and moved["ast_path.trunk.weight"].abs().max() > 0


def test_own_output_head(tmp_path):
    """Untied, the divergence reaches the rows of the output head and no row of the embeddings."""
    options = PLAIN_DESCENT | tiny.ALL_OFF | {"divergence_coef": 1.0}
    trainer = make_trainer(tmp_path, model=tiny.student(tied=False), **options)
    log, moved = first_step(trainer)
    plain = StructureAwareTrainer(
        model=tiny.student(tied=False),
        args=StructureAwareConfig(**tiny.settings(tmp_path, **(STEP | PLAIN_DESCENT | tiny.ALL_OFF))),
        train_dataset=tiny.dataset(8),
        processing_class=tiny.tokenizer(),
    )
    before = plain.model.lm_head.weight.detach().clone()
    plain.train()
    share = moved["lm_head.weight"] - (plain.model.lm_head.weight.detach() - before)
    batch = next(iter(trainer.get_train_dataloader()))
    partings = batch["divergence"][:, 2:].flatten().unique()
    rows = torch.zeros(share.size(0), dtype=torch.bool)
    rows[partings] = True
    assert share[rows].abs().max() > 1e-4
    assert share[~rows].abs().max() < 1e-6
    assert log["divergence"] == pytest.approx(math.log(2), abs=0.2)


def test_bfloat16_autocast(tmp_path):
    trainer = make_trainer(tmp_path, bf16=True, max_steps=4, learning_rate=1e-3)
    trainer.train()
    for entry in trainer.state.log_history[:4]:
        assert all(math.isfinite(entry[name]) for name in ("loss", "grad_norm", *tiny.COMPONENTS))
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in trainer.objectives.parameters())


def test_evaluation_is_a_mean_over_items(tmp_path):
    """No num_items_in_batch in an evaluation: its components are sums over items all the same, however it is cut."""
    found = []
    for size in (1, 4):
        trainer = make_trainer(tmp_path, pieces={"eval_dataset": evaluation()}, per_device_eval_batch_size=size)
        found.append(trainer.evaluate())
    for name in ("nll", *tiny.COMPONENTS):
        assert found[0][f"eval_{name}"] == pytest.approx(found[1][f"eval_{name}"], rel=1e-5), name
    assert math.isfinite(found[0]["eval_loss"])


def test_losses_of_evaluations_compare(tmp_path):
    """The schedule of the training does not reach them: with the same weights they are the same at every step."""
    options = {"structure_schedule": "linear", "structure_ramp_ratio": 0.9, "learning_rate": 0.0, "max_steps": 4}
    trainer = make_trainer(
        tmp_path, pieces={"eval_dataset": evaluation()}, eval_strategy="steps", eval_steps=1, eval_on_start=True,
        **options,
    )  # fmt: skip
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    found = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert found == pytest.approx([before] * 5, rel=1e-6)  # the training begins a log of its own
    strengths = [entry["structure_strength"] for entry in trainer.state.log_history if "structure_strength" in entry]
    assert strengths == pytest.approx([0, 0.25 / 0.9, 0.5 / 0.9, 0.75 / 0.9])  # those that the steps were made with


def evaluation():
    return tiny.dataset(8, columns=tiny.WITH_REJECTED)


def test_compute_metrics(tmp_path):
    def accuracy(predictions):
        right = np.argmax(predictions.predictions, -1)[:, :-1] == predictions.label_ids[:, 1:]
        return {"accuracy": right[predictions.label_ids[:, 1:] != -100].mean()}

    pieces = {"eval_dataset": evaluation(), "compute_metrics": accuracy}
    metrics = make_trainer(tmp_path, pieces=pieces).evaluate()
    assert metrics["eval_accuracy"] == pytest.approx(metrics["eval_mean_token_accuracy"], abs=0.02)


def test_the_example_that_is_not_finite_is_named(tmp_path):
    """One token, which one example alone has, is embedded as NaN."""
    model, tokenizer = tiny.student(tied=False), tiny.tokenizer()
    trainer = make_trainer(tmp_path, model=model, per_device_train_batch_size=8, max_steps=2)
    ids = [set(row["input_ids"]) for row in trainer.train_dataset]
    guilty = max(range(8), key=lambda i: len(ids[i] - set().union(*ids[:i], *ids[i + 1 :])))
    (token, *_) = ids[guilty] - set().union(*ids[:guilty], *ids[guilty + 1 :])
    with torch.no_grad():
        model.model.embed_tokens.weight[token] = torch.nan
    before = model.lm_head.weight.detach().clone()
    with pytest.raises(InputError, match="1 of 8 examples of the micro-batch are at fault: row") as error:
        trainer.train()
    start = tokenizer.decode(trainer.train_dataset[guilty]["input_ids"][:8])
    assert repr(start)[1:-1] in str(error.value)
    assert torch.equal(model.lm_head.weight, before), "the step was taken"


def test_an_objective_that_is_not_finite_is_named(tmp_path):
    trainer = make_trainer(tmp_path)
    with torch.no_grad():
        trainer.objectives["ast_path"].trunk.weight[0, 0] = torch.inf
    with pytest.raises(InputError, match="the objective ast_path is not"):
        trainer.train()
