"""Ctrl-C in the middle of training: one line, exit code 130, and the next run goes on from the checkpoint."""

import signal
import subprocess
import sys
import time

LONG = ["--listops", "64", "--seed-problems", "1", "--held-out", "4", "--epochs", "40", "--width", "32"]


def test_demo_stops_cleanly_and_continues(tmp_path):
    code = "from hf_structdistill.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--out", str(tmp_path / "out"), *LONG]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "out" / "baseline" / "checkpoints" / "checkpoint-100" / "trainer_state.json"
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err[-2000:]
    assert err.splitlines()[-1] == "interrupted; run the same command again to continue"

    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "pass@1" in again.stdout
