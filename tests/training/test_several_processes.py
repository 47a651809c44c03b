"""Two processes, started by torchrun over gloo: the same steps as one process, with every objective on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

from hf_structdistill.resources import shipped_folder

from . import worker

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(worker.__file__)
# Plain gradient descent: the weights say what the gradients were.
STEPS = {
    "max_steps": 3,
    "optim": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
}
CHECKPOINTS = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "per_device_train_batch_size": 4}
JOBS = {
    "2 x 4": {**STEPS, "per_device_train_batch_size": 4},
    "2 x 2 x accumulation 2": {**STEPS, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    "sharded": {**STEPS, "per_device_train_batch_size": 4, "sharded": True},
    "sharded, own head": {**STEPS, "per_device_train_batch_size": 4, "sharded": True, "tied": False},
    "checkpoints": CHECKPOINTS,
}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Folder of each job's results, all run in one launch."""
    root = tmp_path_factory.mktemp("two")
    jobs = [{"folder": str(root / name), **options} for name, options in JOBS.items()]
    for job in jobs:
        if job.get("sharded"):
            job["sharded"] = f"{job['folder']}-base"
            worker.tiny.student(tied=job.get("tied", True)).save_pretrained(job["sharded"])
    jobs.append({"folder": str(root / "resumed"), "resume": str(root / "checkpoints" / "checkpoint-2"), **CHECKPOINTS})
    (root / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc_per_node", "2", str(WORKER), str(root / "jobs.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, "".join(done.stderr.partition("Traceback")[1:])[:4000]
    return root


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """Log and weights of the same steps in this process, by whether the output head is tied to the embeddings."""
    found = {}
    for tied in (True, False):
        folder = str(tmp_path_factory.mktemp("one"))
        trainer = worker.make_trainer(folder, tied=tied, per_device_train_batch_size=8, **STEPS)
        trainer.train()
        found[tied] = trainer.state.log_history, worker.weights_of(trainer)
    return found


def results(folder: Path):
    log = json.loads((folder / "log.json").read_text())
    return log, *(torch.load(folder / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))


@pytest.mark.parametrize("name", [name for name in JOBS if name != "checkpoints"])
def test_equals_one_process(two_processes, one_process, name):
    log, first, second = results(two_processes / name)
    expected_log, expected = one_process[JOBS[name].get("tied", True)]
    for step, entry in enumerate(expected_log[: STEPS["max_steps"]]):
        for key in ("loss", "grad_norm", "nll", *worker.tiny.COMPONENTS):
            assert log[step][key] == pytest.approx(entry[key], rel=1e-5), (step, key)
    assert set(first) == set(expected)
    for weight, value in expected.items():
        torch.testing.assert_close(first[weight], value, rtol=1e-5, atol=1e-6, msg=weight)
        assert torch.equal(first[weight], second[weight]), f"the ranks part in {weight}"


def test_resuming_two_processes(two_processes):
    _, uninterrupted, _ = results(two_processes / "checkpoints")
    _, resumed, other_rank = results(two_processes / "resumed")
    for name, value in uninterrupted.items():
        assert torch.equal(resumed[name], value) and torch.equal(other_rank[name], value), name


def test_checkpoints_are_written_once(two_processes):
    names = {path.name for path in (two_processes / "checkpoints" / "checkpoint-2").iterdir()}
    ranks = {"rng_state_0.pth", "rng_state_1.pth"}  # random states are each process's own
    assert ranks < names
    written = {name for name in names - ranks if any(mark in name for mark in ("optimizer", "heads", "model"))}
    assert written == {
        "model.safetensors",
        "optimizer.pt",
        "structure_heads.safetensors",
        "structure_heads_optimizer.pt",
    }


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "deepspeed_zero3"])
def test_accelerate_recipes_are_read_by_accelerate(name):
    config = load_config_from_file(str(shipped_folder("recipes") / "accelerate" / f"{name}.yaml"))
    assert isinstance(config, ClusterConfig)
    assert config.num_processes == 2 and config.mixed_precision == "bf16"
    expected = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed_zero3": "DEEPSPEED"}[name]
    assert getattr(config.distributed_type, "value", config.distributed_type) == expected
