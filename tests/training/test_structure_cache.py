"""Structure is found once for each example, whichever data-loader worker meets it in later epochs."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_structdistill import StructureAwareConfig, StructureAwareDataCollator, StructureAwareTrainer
from hf_structdistill.structure_cache import content_key

from . import tiny

NUMBER = 16


@pytest.fixture(scope="module")
def features():
    encode = tiny.tokenizer()
    return [{"input_ids": encode(row["prompt"] + row["completion"])["input_ids"]} for row in tiny.rows(NUMBER)]


def same(left, right):
    names = ("structure_score", "code_mask", "ancestor_types", "dataflow_uses", "dataflow_sources")
    arrays = all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)
    rest = ("code_start", "code_bytes", "unparsed_bytes")
    shapes = left.dataflow_sources.shape == right.dataflow_sources.shape
    return arrays and shapes and all(getattr(left, name) == getattr(right, name) for name in rest)


def as_arrays(feature):
    ids = np.asarray(feature["input_ids"])
    return ids, ids


def test_what_is_remembered_is_what_was_found(features):
    collator = StructureAwareDataCollator(tiny.tokenizer())
    segments = [as_arrays(feature) for feature in features]
    segments.append((np.array([], dtype=np.int64), np.array([], dtype=np.int64)))
    segments.append((segments[0][0], np.full_like(segments[0][0], -100)))
    found = collator.annotate(segments)
    again = collator.annotate(segments)
    assert collator.cache.records == len(segments)
    assert all(same(*pair) for pair in zip(found, again, strict=True))
    assert found[0].code_start > 0 > found[-1].code_start, "the same ids, unsupervised, are another example"


def test_a_full_cache_forgets_nothing_and_takes_nothing(features):
    collator = StructureAwareDataCollator(tiny.tokenizer(), cache_size=10)
    for _ in range(3):
        collator(features)
    assert len(collator.cache) == collator.cache.records == 10
    nothing = StructureAwareDataCollator(tiny.tokenizer(), cache_size=0)
    nothing(features)
    assert len(nothing.cache) == 0


@pytest.mark.parametrize("persistent", [True, False], ids=["persistent", "new in every epoch"])
def test_workers_share_what_they_found(features, persistent):
    """Three shuffled epochs over two workers write one record an example: later epochs parse nothing."""
    collator = StructureAwareDataCollator(tiny.tokenizer())
    loader = DataLoader(
        features,
        batch_size=2,
        shuffle=True,
        collate_fn=collator,
        num_workers=2,
        persistent_workers=persistent,
        multiprocessing_context="fork",
    )
    for epoch in range(3):
        batches = list(loader)
        assert len(batches) == NUMBER // 2 and all(batch["structure_counts"][0] > 0 for batch in batches)
        assert collator.cache.records == NUMBER, f"epoch {epoch}"


def test_a_pickled_collator_shares_too(features):
    """As for workers that are spawned and not forked: in this process, and the cache in another one."""
    collator = StructureAwareDataCollator(tiny.tokenizer())
    found = collator(features)
    again = pickle.loads(pickle.dumps(collator))
    assert all(torch.equal(found[name], tensor) for name, tensor in again(features).items())
    assert collator.cache.records == NUMBER
    code = "import pickle, sys; cache = pickle.load(sys.stdin.buffer); print(len(cache), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(collator.cache), capture_output=True)
    assert done.stdout.split() == [str(NUMBER).encode(), b"False"], done.stderr


def test_the_trainer_finds_structure_once_with_workers(tmp_path):
    trainer = StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(
            **tiny.settings(
                tmp_path,
                max_steps=-1,
                num_train_epochs=2,
                dataloader_num_workers=2,
                per_device_train_batch_size=8,
                attention_coef=0.3,
            )
        ),
        train_dataset=tiny.dataset(NUMBER),
        processing_class=tiny.tokenizer(),
    )
    trainer.train()
    assert trainer.state.global_step == 2 * NUMBER // 8
    assert trainer.data_collator.cache.records == NUMBER


def test_half_a_record_and_a_spoilt_one_are_passed_over(features):
    """A process may die while it writes."""
    collator = StructureAwareDataCollator(tiny.tokenizer())
    segments = [as_arrays(feature) for feature in features[:3]]
    keys = [content_key(*segment) for segment in segments]
    expected = collator.annotate(segments)
    path = f"/proc/self/fd/{collator.cache._file.fileno()}"
    whole = os.stat(path).st_size
    os.truncate(path, whole - 5)
    cut = pickle.loads(pickle.dumps(collator.cache))
    assert len(cut) == 2 and cut.find(keys).keys() == set(keys[:2])
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"spoilt")
    assert cut.find(keys).keys() == {keys[1]}
    again = StructureAwareDataCollator(tiny.tokenizer())
    again.cache = cut
    assert all(same(*pair) for pair in zip(again.annotate(segments), expected, strict=True))


def test_without_fcntl_nothing_is_remembered():
    """As on Windows, where the trainer can be imported and used all the same."""
    program = """
import sys
sys.modules["fcntl"] = None
import numpy as np
import hf_structdistill.trainer
from hf_structdistill.structure_cache import StructureCache, content_key
cache = StructureCache(10)
assert cache.size == 0 and len(cache) == 0
assert cache.find([content_key(np.arange(3), np.arange(3))]) == {}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
