"""benchmarks/gpu_qlora.py, written where no GPU was at hand: its path runs on the CPU, and it says what it needs."""

import json

import pytest
import torch

from benchmarks import gpu_qlora


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is at hand")
def test_without_a_gpu_it_says_so(capsys):
    with pytest.raises(SystemExit) as stop:
        gpu_qlora.main([])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs a CUDA GPU" in line


def test_its_path_runs_on_the_cpu(tmp_path, capsys):
    gpu_qlora.main(["--tiny", "--steps", "5", "--rounds", "1", "--json", str(tmp_path / "rows.json")])
    assert "first loss: NF4 " in capsys.readouterr().out
    time, memory = json.loads((tmp_path / "rows.json").read_text())
    assert time["ratio"] > 0 and memory["ratio"] is None
