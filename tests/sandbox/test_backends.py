"""Which backend is chosen, what is said when there is none, and bubblewrap as an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from jails import UNCOVERED, usable

from hf_structdistill.errors import InputError
from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import verify
from hf_structdistill.sandbox.backends import OPT_IN, environment
from hf_structdistill.sandbox.limits import Limits

ROOT = Path(__file__).resolve().parents[2]
TASK = Problem("p", "", AssertTests(("assert f(3) == 9",)), "f")
SQUARE = "def f(x):\n    return x * x\n"


def test_without_bubblewrap_and_without_leave_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(OPT_IN, raising=False)
    for backend in (None, "bubblewrap"):
        with pytest.raises(InputError, match="no bwrap on PATH .*apt install bubblewrap.*HF_ALLOW_CODE_EVAL=1"):
            verify([TASK], [SQUARE], backend=backend)
    with pytest.raises(InputError, match="Expected HF_ALLOW_CODE_EVAL=1 .* found None"):
        verify([TASK], [SQUARE], backend="rlimits")


def test_without_bubblewrap_but_with_leave_it_warns_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(OPT_IN, "1")
    with pytest.warns(RuntimeWarning, match="without bubblewrap") as caught:
        assert verify([TASK] * 2, [SQUARE, "1/0"])[0].passed
    assert len(caught) == 1 and caught[0].filename == __file__


def test_leave_alone_does_not_give_up_bubblewrap(monkeypatch):
    usable("bubblewrap", monkeypatch)
    monkeypatch.setenv(OPT_IN, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify([TASK], [SQUARE])[0].passed


def test_the_environment_of_runner_and_candidate_holds_nothing_of_ours():
    ours = {"OMP_NUM_THREADS", "MALLOC_ARENA_MAX"}
    assert set(environment("/tmp")) == {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONHASHSEED", *ours}


SCRIPT = f"""
import sys
from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import verify
sys.path.insert(0, {str(Path(__file__).parent)!r})
import hostile
task = Problem("p", "", AssertTests(("assert f(3) == 9", "assert f([1, 2]) == [1, 4]", 'assert f("ab") == "ba"')), "f")
# RLIMIT_NPROC does not bind the real root, who is below this user: no bombs here.
names = [n for n, a in hostile.ATTACKS.items() if a.jail and "CANARY" not in a.source and "bomb" not in n]
sources = [hostile.CHEAT] + [hostile.ATTACKS[name].source for name in names]
verdicts = verify([task] * len(sources), sources, cpu_seconds=0.3, wall_seconds=1.5, memory_mb=256, workers=2)
assert verdicts[0].passed, verdicts[0]
print(len(names), sorted(name for name, verdict in zip(names, verdicts[1:]) if verdict.passed))
"""

# The working folder is a candidate's own here: by a default ACL, files in it would be closed to their owner.
CLOSES = """
import os, struct
from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import verify
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 0, 2**32 - 1) for tag in (1, 4, 32))
close = f"try: os.setxattr('.', 'system.posix_acl_default', {acl})\\nexcept OSError: pass\\n"
writes = "open('x', 'w').write('9')\\ndef f(x):\\n    return int(open('x').read())\\n"
task = Problem("p", "", AssertTests(("assert f(3) == 9",)), "f")
print([v.status for v in verify([task] * 2, ["import os\\n" + close, writes], workers=1)])
"""


def as_user(*options: str, script: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run a script as uid 1000 in a user namespace of its own, where bubblewrap has to make another."""
    command = ["bwrap", "--unshare-user", *options, "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/"]
    return subprocess.run(
        [*command, sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_harmful_programs_as_an_ordinary_user(monkeypatch):
    usable("bubblewrap", monkeypatch)
    done = as_user()
    assert done.returncode == 0, done.stderr
    number, passed = done.stdout.split(" ", 1)
    assert int(number) >= 12 and passed.strip() == "[]"


def test_an_ordinary_users_candidate_cannot_close_the_files_of_the_next(monkeypatch):
    usable("bubblewrap", monkeypatch)
    done = as_user(script=CLOSES)
    assert done.stdout == "['error', 'passed']\n", done.stderr


def test_forbidden_user_namespaces_are_named(monkeypatch):
    usable("bubblewrap", monkeypatch)
    if "--disable-userns" not in subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout:
        pytest.skip("this bwrap cannot forbid user namespaces")
    monkeypatch.delenv(OPT_IN, raising=False)
    done = as_user("--disable-userns")
    assert done.returncode == 1
    assert "are user namespaces forbidden?" in done.stderr and "--security-opt" in done.stderr


def test_limits_are_clamped_to_the_hard_limits(monkeypatch):
    usable("bubblewrap", monkeypatch)
    if shutil.which("bash") is None:
        pytest.skip("no shell to lower a hard limit with")
    code = (
        "from hf_structdistill.problems.problem import AssertTests, Problem\n"
        "from hf_structdistill.sandbox import verify\n"
        "task = Problem('p', '', AssertTests(('assert f() == 40',)), 'f')\n"
        "source = 'import resource\\ndef f(): return resource.getrlimit(resource.RLIMIT_NOFILE)[1]\\n'\n"
        "print(verify([task], [source], workers=1)[0].status)\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'ulimit -Sn 40; ulimit -Hn 40; exec "$0" -c "$1"', sys.executable, code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "passed\n", done.stderr
    assert Limits().open_files > 40


@pytest.mark.filterwarnings(UNCOVERED)
def test_what_else_the_user_runs_takes_no_threads_from_a_candidate(backend):
    asleep = threading.Event()
    threads = [threading.Thread(target=asleep.wait) for _ in range(60)]
    for thread in threads:
        thread.start()
    try:
        running = 60 if backend == "rlimits" else 0  # in a jail, it does not see them
        source = "import resource\ndef f(x):\n    return resource.getrlimit(resource.RLIMIT_NPROC)[0]\n"
        task = replace(TASK, tests=AssertTests((f"assert f(3) >= {running + Limits().processes}",)))
        many = "import concurrent.futures as c\ndef f(x):\n    with c.ThreadPoolExecutor(9) as p:\n"
        many += "        return sum(p.map(lambda n: 1, range(x * x)))\n"
        assert [v.status for v in verify([task, TASK], [source, many], backend=backend)] == ["passed"] * 2
    finally:
        asleep.set()
