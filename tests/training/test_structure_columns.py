"""Structure found beforehand, as columns: the same batch, and no column that does not fit is taken."""

import copy
import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset, load_from_disk

from hf_structdistill import StructureAwareConfig, StructureAwareDataCollator, StructureAwareTrainer
from hf_structdistill.errors import InputError
from hf_structdistill.structure import StructureAnnotator, TokenBytes
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


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"batch_size": 2, "num_proc": 2}, {"remove_columns": "labels"}]
)
def test_batches_without_code_first(annotated, options):
    """The types do not hang on what the first batch holds, nor on how the work is spread."""
    data = tokenized()
    order = [NUMBER, NUMBER, *range(NUMBER)]
    found = annotate_dataset(data.select(order), tiny.tokenizer(), **options)
    assert found.features == {k: v for k, v in annotated.features.items() if k != options.get("remove_columns")}
    assert all(found[name][:] == annotated.select(order)[name][:] for name in STRUCTURE_COLUMNS)
    prose = annotate_dataset(data.select([NUMBER]), tiny.tokenizer())
    assert prose.features == annotated.features and found.features["code_start"].dtype == "int32"


def test_the_second_time_comes_from_the_cache(tmp_path, monkeypatch):
    tokenized().save_to_disk(tmp_path / "data")
    data = [load_from_disk(tmp_path / "data") for _ in range(2)]
    first = annotate_dataset(data[0], tiny.tokenizer())
    monkeypatch.setattr(StructureAnnotator, "annotate_batch", None)
    again = annotate_dataset(data[1], tiny.tokenizer())
    assert again.cache_files == first.cache_files and again[0] == first[0]


def test_an_annotator_is_copied_with_its_language():
    annotator = StructureAnnotator(TokenBytes.from_tokenizer(tiny.tokenizer()))
    for twin in (pickle.loads(pickle.dumps(annotator)), copy.deepcopy(annotator)):
        assert twin.language is annotator.language
        ids = [tokenized()[0]["input_ids"]]
        assert np.array_equal(
            twin.annotate_batch(ids)[0].ancestor_types, annotator.annotate_batch(ids)[0].ancestor_types
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
