"""Objectives on what real batches can shrink to: one token, nothing supervised, code cut in the middle of a node."""

import dataclasses

import pytest
import torch

from hf_structdistill.data_collator import StructureAwareDataCollator
from hf_structdistill.losses import Attention, ForwardState, WeightedNLL, target_mask

from ..training import tiny
from . import test_against_references as references

PROMPT = "Add them.\n"
CODE = """```python
def total(values):
    result = 0
    for value in values:
        result += value
    return result
```
"""


@pytest.fixture(scope="module")
def collator():
    return StructureAwareDataCollator(tiny.tokenizer(), num_ancestors=references.ANCESTORS)


def ids_of(text):
    return tiny.tokenizer()(text)["input_ids"]


def state_of(batch):
    rows, length = batch["input_ids"].shape
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, length, references.WIDTH, generator=generator, requires_grad=True)
    mask = target_mask(batch["labels"])
    return ForwardState(
        hidden_states=hidden,
        log_probs=-hidden.square().sum(2) * mask,
        target_mask=mask,
        batch=batch,
        token_logits=lambda states, ids: states.sum(1, keepdim=True) * ids,
        attention=Attention(hidden.unsqueeze(1).expand(-1, 4, -1, -1), hidden.unsqueeze(1).expand(-1, 2, -1, -1), 0.3),
    )


def every_objective(num_node_types):
    objectives = {name: objective for name, (objective, _) in references.objectives().items()}
    objectives["ast_path"] = references.AstPath(references.WIDTH, num_node_types, references.ANCESTORS, 4)
    return objectives | {"weighted_nll": WeightedNLL(1.0, 0.5, 2.0)}


def values_of(collator, examples):
    """Value of each objective on a batch; its gradient is finite, and there even where the value is 0."""
    batch = collator(examples)
    found = {}
    for name, objective in every_objective(collator.annotator.num_node_types).items():
        state = state_of(batch)
        value = objective(state)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(state.hidden_states.grad).all(), name
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in objective.parameters()), name
        if objective.count(batch) == 0:
            assert value == 0 and (state.hidden_states.grad == 0).all(), name
        found[name] = value.item(), int(objective.count(batch))
    return found


def test_code_cut_anywhere(collator):
    """Truncation in the middle of a string, a name, a block: whatever is left is finite, and data flow only grows."""
    start, ids = len(ids_of(PROMPT)), ids_of(PROMPT + CODE)
    counts = []
    for stop in range(start, len(ids) + 1, 3):
        labels = [-100] * start + ids[start:stop]
        found = values_of(collator, [{"input_ids": ids[:stop], "labels": labels}])
        counts.append(found["dataflow"][1])
    assert counts[0] == 0 and counts[-1] > 3
    # a node that was cut is below an ERROR node, so an edge or two may come late, and none is made up
    assert max(counts) <= max(counts[-3:])


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param([{"input_ids": [5], "labels": [5]}], id="one token"),
        pytest.param([{"input_ids": [5], "labels": [-100]}], id="one token, not supervised"),
        pytest.param(
            [{"input_ids": [5, 6], "labels": [-100, 6]}, {"input_ids": [7], "labels": [7]}], id="two and one"
        ),
        pytest.param([{"input_ids": [5, 6, 7], "labels": [-100] * 3}], id="all masked"),
    ],
)
def test_next_to_nothing(collator, examples):
    found = values_of(collator, examples)
    assert all(count == 0 for name, (_, count) in found.items() if name != "weighted_nll")


def test_no_code_beside_code(collator):
    """An example without code changes no sum over the items of the other."""
    start, ids = len(ids_of(PROMPT)), ids_of(PROMPT + CODE)
    with_code = {"input_ids": ids, "labels": [-100] * start + ids[start:]}
    prose = ids_of("It is a sum.\n" * 3)
    alone = values_of(collator, [with_code])
    both = values_of(collator, [with_code, {"input_ids": prose, "labels": prose}])
    assert {name: count for name, (_, count) in both.items() if name != "weighted_nll"} == {
        name: count for name, (_, count) in alone.items() if name != "weighted_nll"
    }


@pytest.mark.parametrize("name", list(references.objectives()))
def test_gradients_of_the_heads(name):
    objective, _ = references.objectives()[name]
    state = references.make_state(references.make_batch())
    for parameter in objective.parameters():
        (gradient,) = torch.autograd.grad(objective(state), parameter)
        references.check_gradient(lambda: objective(state), parameter, gradient)


def test_gradient_of_the_weighted_likelihood():
    """It is linear in the log-probabilities, so its gradient is the reference of each token alone."""
    objective, state = WeightedNLL(1.5, 0.5, 2.0), references.make_state(references.make_batch())
    (gradient,) = torch.autograd.grad(objective(state, 0.7), state.log_probs)
    for row, position in state.target_mask.nonzero().tolist():
        alone = torch.zeros_like(state.log_probs)
        alone[row, position] = 1.0
        expected = references.weighted_nll_reference(objective, dataclasses.replace(state, log_probs=alone), 0.7)
        assert gradient[row, position].item() == pytest.approx(expected, rel=1e-5)
    assert (gradient[~state.target_mask] == 0).all()
