"""With everything off, or every weight 1, training is SFTTrainer's to 1e-6: loss, gradients, trajectory."""

import pytest
import torch
from trl import SFTConfig, SFTTrainer

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer

from . import tiny

STEPS = 20


def train(trainer_class, config_class, folder, **extra):
    trainer = trainer_class(
        model=tiny.student(),
        args=config_class(**tiny.settings(folder, max_steps=STEPS, **extra)),
        train_dataset=tiny.dataset(),
        processing_class=tiny.tokenizer(),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    norms = [entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry]
    weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
    return losses, norms, weights


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    return train(SFTTrainer, SFTConfig, tmp_path_factory.mktemp("stock"))


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(tiny.ALL_OFF, id="all coefficients 0"),
        # the weighted loss runs, and has nothing to weigh: reasoning and code both weigh 3
        pytest.param(tiny.ALL_OFF | {"reasoning_weight": 3.0, "code_weight": 3.0}, id="all weights equal"),
    ],
)
def test_trajectory(stock, tmp_path, extra):
    losses, norms, weights = train(StructureAwareTrainer, StructureAwareConfig, tmp_path, **extra)
    assert len(losses) == STEPS
    assert losses == pytest.approx(stock[0], abs=1e-6)
    assert norms == pytest.approx(stock[1], rel=1e-5)
    torch.testing.assert_close(weights, stock[2], rtol=0, atol=1e-6)


def test_the_comparison_can_fail(stock, tmp_path):
    _, _, weights = train(StructureAwareTrainer, StructureAwareConfig, tmp_path, **tiny.ALL_ON)
    assert (weights - stock[2]).abs().max() > 1e-4


@pytest.mark.parametrize("kind, config, extra", [
    (SFTTrainer, SFTConfig, {}),
    (StructureAwareTrainer, StructureAwareConfig, tiny.ALL_ON),
])  # fmt: skip
def test_arguments_are_taken_in_the_order_of_sft_trainer(tmp_path, kind, config, extra):
    args, dataset = config(**tiny.settings(tmp_path, **extra)), tiny.dataset()
    trainer = kind(tiny.student(), args, None, dataset, dataset.select(range(2)), tiny.tokenizer())
    assert len(trainer.train_dataset) == len(dataset) and len(trainer.eval_dataset) == 2
    with pytest.raises(TypeError, match="multiple values for argument 'data_collator'"):
        kind(tiny.student(), args, None, data_collator=None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tokenizer'"):
        kind(tiny.student(), args, tokenizer=tiny.tokenizer())
