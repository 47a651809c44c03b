"""What trackers are sent: every component under train/ and eval/, once a step, as a mean over its items."""

import pytest
from transformers import TrainerCallback
from transformers.integrations.integration_utils import rewrite_logs

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.model_card import training_curves

from . import tiny

COMPONENTS = {"nll", "weighted_nll", "dataflow", "ast_path", "divergence", "alignment", "embedding", "attention"}
SHARES = {"code_share", "unparsed_share"}


class Tracker(TrainerCallback):
    """Keeps what wandb, trackio and TensorBoard write, under the names they give it."""

    def __init__(self):
        self.sent = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.sent.append((state.global_step, rewrite_logs(logs)))

    def of(self, name):
        return [(step, logs[name]) for step, logs in self.sent if name in logs]


def run(folder, **settings):
    tracker = Tracker()
    data = tiny.dataset(16, columns=tiny.WITH_REJECTED)
    trainer = StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(folder, **(tiny.ALL_ON | settings))),
        train_dataset=data.select(range(8)),
        eval_dataset=data.select(range(8, 16)),
        processing_class=tiny.tokenizer(),
        callbacks=[tracker],
    )
    trainer.train()
    return tracker


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """Three steps of two micro-batches, an evaluation after each."""
    return run(
        tmp_path_factory.mktemp("logs"),
        max_steps=3,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=1,
    )


@pytest.mark.parametrize("name", sorted(COMPONENTS | SHARES | {"structure_strength"}))
def test_train_names_once_a_step(tracker, name):
    assert [step for step, _ in tracker.of(f"train/{name}")] == [1, 2, 3]


@pytest.mark.parametrize("name", sorted(COMPONENTS - {"alignment", "embedding", "divergence"} | SHARES))
def test_eval_names_once_an_evaluation(tracker, name):
    assert [step for step, _ in tracker.of(f"eval/{name}")] == [1, 2, 3]


def test_what_evaluation_knows_nothing_of_is_not_logged(tracker):
    """The side table holds the training set: no zeros are shown for what could not be measured."""
    for name in ("alignment", "embedding", "divergence"):
        assert tracker.of(f"eval/{name}") == []


def test_evaluation_agrees_with_the_loss_it_is_part_of(tracker):
    nll, loss = (dict(tracker.of(f"eval/{name}")) for name in ("nll", "loss"))
    for step in (1, 2, 3):
        assert 0 < nll[step] < loss[step], "the loss is the NLL and what the objectives add"


def test_plain_training_logs_what_runs_are_compared_by(tmp_path):
    plain = run(tmp_path, **tiny.ALL_OFF, max_steps=2)
    assert [step for step, _ in plain.of("train/nll")] == [1, 2]
    for (_, nll), (_, loss) in zip(plain.of("train/nll"), plain.of("train/loss"), strict=True):
        assert nll == pytest.approx(loss, rel=1e-6)
    assert plain.of("train/structure_strength") == []


def test_eval_nll_is_a_mean_over_tokens_with_objectives_and_without(tmp_path):
    """SFTTrainer's `eval_loss` is none: it moves with the size of the batches."""
    short_answers = tiny.dataset(8).map(lambda row, n: {"completion": "1"} if n % 2 else row, with_indices=True)
    nll, loss = [], []
    for on in ({}, {"dataflow_coef": 0.1}):
        for size in (1, 8):
            settings = tiny.settings(tmp_path, per_device_eval_batch_size=size, **(tiny.ALL_OFF | on))
            trainer = StructureAwareTrainer(
                model=tiny.student(),
                args=StructureAwareConfig(**settings),
                train_dataset=tiny.dataset(8),
                processing_class=tiny.tokenizer(),
            )
            found = trainer.evaluate(short_answers)
            nll.append(found["eval_nll"])
            loss.append(found["eval_loss"])
    assert nll == pytest.approx([nll[0]] * 4, rel=1e-6)
    assert loss[1] == pytest.approx(nll[0], rel=1e-6) and abs(loss[0] - nll[0]) > 1e-3


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """A trainer before its first step, with two evaluation sets."""
    data = tiny.dataset(8, columns=tiny.WITH_REJECTED)
    settings = {"dataflow_coef": 0.1, "ast_path_coef": 0.1, "eval_strategy": "steps", "max_steps": 1}
    return StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(
            **tiny.settings(tmp_path_factory.mktemp("halves"), metric_for_best_model="eval_short_nll", **settings)
        ),
        train_dataset=data,
        eval_dataset={"short": data.select(range(4)), "long": data.select(range(4, 8))},
        processing_class=tiny.tokenizer(),
    )


def test_each_evaluation_set_has_components_of_its_own(halves):
    together = halves.evaluate()
    for name in ("short", "long"):
        alone = halves.evaluate(halves.eval_dataset[name], metric_key_prefix="test")
        for component in ("nll", "dataflow", "ast_path", "code_share"):
            assert together[f"eval_{name}_{component}"] == alone[f"test_{component}"], (name, component)
    assert together["eval_short_nll"] != together["eval_long_nll"] and "eval_nll" not in together


def test_prediction_has_components_and_leaves_none_to_the_next_evaluation(halves):
    evaluated = halves.evaluate(halves.eval_dataset["short"])
    predicted = halves.predict(halves.eval_dataset["long"].select_columns(["input_ids", "labels"])).metrics
    assert predicted["test_nll"] == halves.evaluate()["eval_long_nll"]
    assert halves.evaluate(halves.eval_dataset["short"])["eval_nll"] == evaluated["eval_nll"]


def test_the_best_checkpoint_by_one_of_several_sets(halves):
    halves.train()
    found = [entry for entry in halves.state.log_history if "eval_short_nll" in entry]
    assert halves.state.best_metric == found[-1]["eval_short_nll"]
    curves = training_curves(halves.state.log_history)
    assert {"loss", "nll", "dataflow"} <= set(curves) and not any(name.startswith("eval_") for name in curves)


def test_accumulation_and_logging_less_often_give_means_over_items(tmp_path):
    """4 x 2 logs what 8 x 1 logs; a log every second step holds the mean over the items of both steps."""
    whole = run(tmp_path, max_steps=1, per_device_train_batch_size=8)
    cut = run(tmp_path, max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    frozen = {"learning_rate": 0.0, "per_device_train_batch_size": 4}
    rare = run(tmp_path, max_steps=2, logging_steps=2, **frozen)
    for name in COMPONENTS | SHARES:
        (expected,) = [value for _, value in whole.of(f"train/{name}")]
        for other in (cut, rare):
            (found,) = [value for _, value in other.of(f"train/{name}")]
            assert found == pytest.approx(expected, rel=1e-5), name
