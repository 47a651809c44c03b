"""Structure found beforehand, as columns: the same batch, and no column that does not fit is taken."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from hf_structdistill import StructureAwareConfig, StructureAwareDataCollator, StructureAwareTrainer
from hf_structdistill.errors import InputError
from hf_structdistill.structure_columns import STRUCTURE_COLUMNS, annotate_dataset

from . import tiny

NUMBER = 6


def tokenized(with_labels=True):
    encode = tiny.tokenizer()
    features = []
    for row in [*tiny.rows(NUMBER), {"prompt": "Say hello.\n\n", "completion": "Hello, and a good day to you."}]:
        start = len(encode(row["prompt"])["input_ids"])
        ids = encode(row["prompt"] + row["completion"])["input_ids"]
        features.append(
            {"input_ids": ids, "labels": [-100] * start + ids[start:]} if with_labels else {"input_ids": ids}
        )
    return Dataset.from_list(features)


@pytest.fixture(scope="module")
def annotated():
    return annotate_dataset(tokenized(), tiny.tokenizer())


@pytest.mark.parametrize("padding_free", [False, True])
def test_precomputed_equals_computed(annotated, padding_free):
    carried = StructureAwareDataCollator(tiny.tokenizer(), padding_free=padding_free)
    found = carried(list(annotated))
    expected = StructureAwareDataCollator(tiny.tokenizer(), padding_free=padding_free)(list(tokenized()))
    assert len(carried.cache) == 0, "nothing was analysed"
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        same = torch.equal(found[name], tensor) if isinstance(tensor, torch.Tensor) else found[name] == tensor
        assert same, name
    assert found["dataflow_uses"].size(0) > NUMBER


def test_without_labels_every_token_is_supervised():
    collator = StructureAwareDataCollator(tiny.tokenizer())
    data = tokenized(with_labels=False)
    found = collator(list(annotate_dataset(data, tiny.tokenizer(), batch_size=2)))
    assert torch.equal(
        found["structure_score"], StructureAwareDataCollator(tiny.tokenizer())(list(data))["structure_score"]
    )


def test_stream(annotated):
    stream = annotate_dataset(tokenized().to_iterable_dataset(), tiny.tokenizer())
    for found, expected in zip(stream, annotated, strict=True):
        assert all(
            np.array_equal(found[name], expected[name]) for name in STRUCTURE_COLUMNS if name != "dataflow_sources"
        )


def test_columns_reach_the_loss_of_the_trainer(annotated, tmp_path):
    """Kept with remove_unused_columns=False; made-up scores change the loss, so they are what is used."""
    losses = []
    doubled = annotated.map(lambda row: {"structure_score": [1.0 - score for score in row["structure_score"]]})
    for data in (tokenized(), annotated, doubled):
        settings = tiny.settings(tmp_path, max_steps=1, remove_unused_columns=False, structure_schedule="constant")
        trainer = StructureAwareTrainer(
            model=tiny.student(),
            args=StructureAwareConfig(**settings, structure_weight=1.0),
            train_dataset=data,
            processing_class=tiny.tokenizer(),
        )
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[1] == losses[0] != losses[2]


def changed(row, **columns):
    return {**row, **columns}


@pytest.mark.parametrize(
    "change, words",
    [
        (
            lambda row: changed(row, input_ids=row["input_ids"][:50], labels=row["labels"][:50]),
            ["50 tokens", "max_length"],
        ),
        (lambda row: changed(row, code_mask=row["code_mask"][:-1]), ["length"]),
        (lambda row: {k: v for k, v in row.items() if k != "code_start"}, ["structure_score", "not code_start"]),
        (lambda row: changed(row, seq_lengths=[10, len(row["input_ids"]) - 10]), ["Packed"]),
        (lambda row: changed(row, variable_positions=[10_000]), ["token 10000"]),
        (lambda row: changed(row, ancestor_types=[[1, 2]] * len(row["input_ids"])), ["2 levels", "num_ancestors=4"]),
        (lambda row: changed(row, ancestor_types=row["ancestor_types"][:-1]), ["ancestor_types"]),
        (lambda row: changed(row, dataflow_sources=row["dataflow_sources"][:-1]), ["dataflow_sources"]),
    ],
)
def test_columns_that_do_not_fit_are_refused(annotated, change, words):
    collator = StructureAwareDataCollator(tiny.tokenizer())
    with pytest.raises(InputError) as refused:
        collator([change(annotated[0])])
    assert all(word in str(refused.value) for word in words), refused.value


def test_a_data_set_that_is_not_tokenized():
    with pytest.raises(InputError, match="input_ids.*completion"):
        annotate_dataset(tiny.dataset(2), tiny.tokenizer())
