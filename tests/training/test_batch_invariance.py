"""With every objective on, a step does not depend on how its examples are cut into batches."""

import pytest
import torch

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer

from . import tiny


def one_step(folder, batch_size, accumulation, **extra):
    """Gradients of the model and of the heads, and the loss, of one optimizer step over 8 uneven examples."""
    trainer = StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(
            **tiny.settings(
                folder,
                max_steps=1,
                per_device_train_batch_size=batch_size,
                gradient_accumulation_steps=accumulation,
                max_grad_norm=0.0,
                optim="sgd",
                learning_rate=1.0,  # the update is the gradient, well above the rounding of the weights
                lr_scheduler_type="constant",
                **(tiny.ALL_ON | extra),
            )
        ),
        train_dataset=tiny.dataset(8, columns=tiny.WITH_REJECTED),
        processing_class=tiny.tokenizer(),
    )
    trainer.heads.optimizer = torch.optim.SGD(trainer.heads.parameters, lr=1.0)
    before = [parameter.detach().clone() for parameter in parameters(trainer)]
    trainer.train()
    after = parameters(trainer)
    updates = torch.cat([(new - old).flatten() for new, old in zip(after, before, strict=True)])
    return trainer.state.log_history[0], updates.detach()


def parameters(trainer):
    return [*trainer.model.parameters(), *trainer.objectives.parameters()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return one_step(tmp_path_factory.mktemp("whole"), 8, 1)


@pytest.mark.parametrize("batch_size, accumulation", [(4, 2), (1, 8), (3, 3)])
def test_accumulation(whole, tmp_path, batch_size, accumulation):
    log, updates = one_step(tmp_path, batch_size, accumulation)
    assert log["loss"] == pytest.approx(whole[0]["loss"], rel=1e-5)
    for name in component_names(whole[0]):
        assert log[name] == pytest.approx(whole[0][name], rel=1e-5), name
    torch.testing.assert_close(updates, whole[1], rtol=1e-4, atol=1e-5 * whole[1].abs().max().item())


def component_names(log):
    names = {"nll", *tiny.COMPONENTS}
    assert names <= set(log)
    return names


def test_padding_free_equals_padded(whole, tmp_path):
    log, updates = one_step(tmp_path, 8, 1, padding_free=True)
    for name in component_names(whole[0]):
        assert log[name] == pytest.approx(whole[0][name], rel=1e-5), name
    torch.testing.assert_close(updates, whole[1], rtol=1e-4, atol=1e-5 * whole[1].abs().max().item())


def test_packing_equals_padded(whole, tmp_path):
    """Best-fit packing into rows of 2,000 tokens puts the same 8 examples into fewer rows."""
    log, updates = one_step(tmp_path, 8, 1, packing=True, max_length=2000)
    for name in component_names(whole[0]):
        assert log[name] == pytest.approx(whole[0][name], rel=1e-5), name
    torch.testing.assert_close(updates, whole[1], rtol=1e-4, atol=1e-5 * whole[1].abs().max().item())
