"""Whatever ends a run, no process and no folder of it stays."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jails import UNCOVERED

from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import verify
from hf_structdistill.sandbox.processes import descendants

pytestmark = pytest.mark.filterwarnings(UNCOVERED)
ROOT = Path(__file__).resolve().parents[2]
LONG_RUN = """
import sys
from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import verify
task = Problem("p", "", AssertTests(("assert f()",)), "f")
endless = "import os, time\\nopen('here', 'w')\\nif not os.fork(): time.sleep(300)\\ndef f():\\n    while 1: pass"
print("started", flush=True)
verify([task] * 2, [endless, endless + "# another"], workers=2, cpu_seconds=300, wall_seconds=300, backend=sys.argv[1])
"""


def start(backend: str, folder: Path) -> tuple[subprocess.Popen, set[int]]:
    """A process in the middle of `verify`, and all processes below it."""
    others = set(descendants())  # of other tests in this process, such as a fork server
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "HF_ALLOW_CODE_EVAL": "1"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LONG_RUN, backend],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout and process.stdout.readline() == b"started\n"
    below: set[int] = set()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # two workers, judges, zygotes and pairs of candidates
        below = set(descendants()) - others - {process.pid}
        if len(below) >= 10:
            break
        time.sleep(0.05)
    assert len(below) >= 10
    return process, below


def gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_after(ending: signal.Signals, backend: str, tmp_path: Path):
    process, below = start(backend, tmp_path)
    process.send_signal(ending)
    process.wait(30)
    assert process.returncode != 0
    assert gone(below)
    assert list(tmp_path.iterdir()) == []
    for pipe in (process.stdout, process.stderr):
        assert pipe
        pipe.close()


def test_nothing_stays_after_an_ordinary_run(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    task = Problem("p", "", AssertTests(("assert f()",)), "f")
    files, others = len(os.listdir("/proc/self/fd")), descendants()
    source = "open('here', 'w').write('x')\ndef f():\n    return True\n"
    assert [v.status for v in verify([task] * 3, [source, source + "#", "1/0"], backend=backend)] == [
        "passed",
        "passed",
        "error",
    ]
    assert set(descendants()) <= set(others) and list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == files


def test_an_interrupt_from_progress_leaves_nothing(backend: str):
    task = Problem("p", "", AssertTests(("assert f()",)), "f")
    sources = [f"def f():\n    return {n}\n" for n in range(20)]

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    others = descendants()
    with pytest.raises(KeyboardInterrupt):
        verify([task] * 20, sources, workers=2, backend=backend, progress=interrupt)
    assert set(descendants()) <= set(others)


def test_cleaning_up_does_not_follow_links(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    task = Problem("p", "", AssertTests(("assert f()",)), "f")
    mine = str(tmp_path / "mine")
    source = (
        f"import os\nos.mkdir('d')\nos.symlink({mine!r}, 'd/way')\nos.symlink({mine!r}, 'way')\nf = lambda: True\n"
    )
    look = "import os\nf = lambda: os.listdir('.') == []\n"
    assert [v.status for v in verify([task] * 2, [source, look], workers=1, backend=backend)] == ["passed"] * 2
    assert (tmp_path / "mine" / "precious").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("depth", [1500, 5000])
def test_folders_of_any_depth_are_removed(depth: int, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Deeper than the interpreter's stack, and than a path may be long."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    task = Problem("p", "", AssertTests(("assert f()",)), "f")
    dig = f"import os\nf = lambda: True\nfor _ in range({depth}):\n    os.mkdir('d')\n    os.chdir('d')\n"
    look = "import os\nf = lambda: os.listdir('.') == []\n"
    sources = [dig + "open('file', 'w')\nos.chmod('.', 0)\n", look]
    assert [v.status for v in verify([task] * 2, sources, workers=1, backend=backend)] == ["passed"] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_process_with_many_open_files(backend: str):
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (1500, 1500))\n"
        "files = [open('/dev/null') for _ in range(1100)]\n"
        "from hf_structdistill.problems.problem import AssertTests, Problem\n"
        "from hf_structdistill.sandbox import verify\n"
        "task = Problem('p', '', AssertTests(('assert f()',)), 'f')\n"
        "sources = ['f = lambda: 1', 'f = lambda: 0', 'f = lambda: 2 #' + 'x' * 500000]\n"
        f"print([v.status for v in verify([task] * 3, sources, workers=2, backend={backend!r})])\n"
    )
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1500:
        pytest.skip("not so many files may be open here")
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout == "['passed', 'failed', 'passed']\n", done.stderr
