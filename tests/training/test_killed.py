"""A run that is killed in the middle of an epoch goes on from its checkpoint as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys

import torch

from . import worker
from .test_several_processes import ROOT, WORKER

# 16 examples: 4 steps an epoch. Warm-up, decay, momentum and clipping all have to be found again.
OPTIONS = {
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "save_strategy": "steps",
    "save_steps": 1,
    "warmup_steps": 2,
    "structure_schedule": "linear",
    "structure_ramp_ratio": 0.9,
}


def test_killed_between_two_micro_batches(tmp_path):
    uninterrupted = worker.make_trainer(str(tmp_path / "whole"), **OPTIONS)
    uninterrupted.train()

    killed = tmp_path / "killed"
    (tmp_path / "jobs.json").write_text(json.dumps([{"folder": str(killed), "killed_after": 2, **OPTIONS}]))
    done = subprocess.run(
        [sys.executable, str(WORKER), str(tmp_path / "jobs.json")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert sorted(path.name for path in killed.glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]

    resumed = worker.make_trainer(str(killed), **OPTIONS)
    resumed.train(resume_from_checkpoint=True)
    expected, found = worker.weights_of(uninterrupted), worker.weights_of(resumed)
    assert any(name.startswith("dataflow.") for name in expected)
    for name, weights in expected.items():
        assert torch.equal(found[name], weights), name
