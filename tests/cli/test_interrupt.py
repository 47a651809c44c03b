"""Ctrl-C: one line, exit code 130, and nothing lost."""

import contextlib
import signal
import subprocess
import sys
import time

from .test_demo_command import SMALL


def test_demo_stops_cleanly_and_continues(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from hf_structdistill.cli import main; main()",
        "demo",
        "--out",
        str(tmp_path / "out"),
        *SMALL,
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "baseline").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    # Python ignores an interrupt that arrives inside a destructor or weakref callback: press again, as a person would
    for _ in range(5):
        running.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(6)
            break
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    # no traceback of ours: the line is the last thing said
    assert err.splitlines()[-1] == "interrupted; run the same command again to continue"

    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "pass@1" in again.stdout
