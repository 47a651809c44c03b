"""Each token carries a weight of its own; whatever cuts and packs the examples, the pair reaches the loss intact."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.structure import Annotation, TokenBytes

from . import tiny

LENGTHS, LIMIT = (23, 61, 7, 40, 90, 55, 12, 33), 48
FIRST_ID = 2  # after the special tokens


def tag(ids):
    """The score of a token: no two tokens of the data set share one."""
    return (np.asarray(ids) / len(tiny.tokenizer())).astype(np.float32)


def example_of(token):
    """Index of the example that has the token."""
    return int(np.searchsorted(np.cumsum(LENGTHS), token - FIRST_ID, side="right"))


def dataset():
    """Token ids that each occur once; the first third of each example is its prompt; and a column too many."""
    rows, start = [], FIRST_ID
    for number, length in enumerate(LENGTHS):
        ids = list(range(start, start + length))
        prompt = length // 3
        rows.append(
            {"input_ids": ids, "completion_mask": [0] * prompt + [1] * (length - prompt), "note": f"example {number}"}
        )
        start += length
    return Dataset.from_list(rows)


class TaggingAnnotator:
    """Scores each supervised token by its tag. Only the score is looked at here."""

    num_node_types, language, num_ancestors = 4, SimpleNamespace(analyse_dataflow=None, name="python"), 4
    table = TokenBytes.from_tokenizer(tiny.tokenizer())

    def annotate_batch(self, ids, labels):
        return [self.annotate(*segment) for segment in zip(ids, labels, strict=True)]

    def annotate(self, ids, labels):
        supervised, nothing = labels != -100, np.zeros(0, dtype=np.int64)
        return Annotation(
            structure_score=np.where(supervised, tag(ids), 0).astype(np.float32),
            code_mask=supervised,
            ancestor_types=np.full((len(ids), 4), -100, dtype=np.int64),
            dataflow_uses=nothing,
            dataflow_sources=np.full((0, 1), -1, dtype=np.int64),
            variable_positions=nothing,
            code_start=int(np.argmax(supervised)) if supervised.any() else -1,
            code_bytes=len(ids),
            unparsed_bytes=0,
        )


class TaggingTrainer(StructureAwareTrainer):
    def _build_collator(self):
        collator = super()._build_collator()
        collator.annotator = TaggingAnnotator()
        return collator


LAYOUTS = {
    "padded": {},
    "padding-free": {"padding_free": True},
    "bfd": {"packing": True, "packing_strategy": "bfd"},
    "bfd_split": {"packing": True, "packing_strategy": "bfd_split"},
    "wrapped": {"packing": True, "packing_strategy": "wrapped"},
}


def reaching_the_loss(folder, layout):
    """Train an epoch; for each micro-batch the ids, weights, score, mask and log-probabilities that the loss saw."""
    settings = tiny.ALL_OFF | {"structure_weight": 1.0, "structure_schedule": "constant", "num_train_epochs": 1}
    args = tiny.settings(folder, **settings, **LAYOUTS[layout]) | {
        "max_steps": -1,
        "max_length": None if layout == "padding-free" else LIMIT,  # TRL refuses the two together
        "per_device_train_batch_size": 2,
        "completion_only_loss": True,
    }
    trainer = TaggingTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**args),
        train_dataset=dataset(),
        processing_class=tiny.tokenizer(),
    )
    assert trainer.args.remove_unused_columns
    seen = []
    objective = trainer.objectives["weighted_nll"]

    def keep(_module, inputs):
        state, strength = inputs
        seen.append((state, objective.weights(state.target_mask, state.batch, strength)))

    objective.register_forward_pre_hook(keep)
    trainer.train()
    return seen


def expected_tokens(layout):
    """Supervised tokens that something predicts, from the lengths alone."""
    kept, start = set(), FIRST_ID
    for length in LENGTHS:
        # what is wrapped or split is not cut
        limit = min(length, LIMIT) if layout in ("padded", "bfd") else length
        tokens = range(start + max(length // 3, 1), start + limit)
        # where a piece starts, nothing in its row precedes the token
        cuts = {start + at for at in range(0, length, LIMIT)} if layout == "bfd_split" else set()
        if layout == "wrapped":
            cuts = {FIRST_ID + at for at in range(0, sum(LENGTHS), LIMIT)}
        kept.update(token for token in tokens if token not in cuts)
        start += length
    return kept


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_pair_is_intact(layout, tmp_path):
    arrived = []
    for state, weights in reaching_the_loss(tmp_path, layout):
        ids, mask = state.batch["input_ids"], state.target_mask
        arrived += ids[mask].tolist()
        np.testing.assert_array_equal(state.batch["structure_score"][mask].numpy(), tag(ids[mask]))
        assert torch.equal(state.batch["labels"][mask], ids[mask])
        assert (state.log_probs[mask] < 0).all() and (state.log_probs[~mask] == 0).all()
        assert (weights[~mask] == 0).all()
        for segment in state.batch["segment_ids"][mask].unique():
            own = mask & (state.batch["segment_ids"] == segment)
            assert len({example_of(token) for token in ids[own].tolist()}) == 1, "two examples in one segment"
            raw = 1 + torch.from_numpy(tag(ids[own]))
            torch.testing.assert_close(weights[own], raw / raw.mean())
    assert len(arrived) == len(set(arrived)), "a token came twice"
    assert set(arrived) == expected_tokens(layout)
