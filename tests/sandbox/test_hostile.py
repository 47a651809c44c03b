"""Every hostile program is judged, none passes, and nothing of it is left."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import hostile
import pytest
from jails import UNCOVERED, usable

from hf_structdistill.problems.problem import AssertTests, Problem
from hf_structdistill.sandbox import Verdict, verify
from hf_structdistill.sandbox.limits import Limits
from hf_structdistill.sandbox.processes import descendants
from hf_structdistill.sandbox.verify import Pool

pytestmark = pytest.mark.filterwarnings(UNCOVERED)
WALL, WORKERS = 1.5, 2
TASK = Problem(
    id="task",
    prompt="",
    tests=AssertTests(("assert f(3) == 9", "assert f([1, 2]) == [1, 4]", 'assert f("ab") == "ba"')),
    entry_point="f",
)
LIMITS = {"cpu_seconds": 0.25, "wall_seconds": WALL, "memory_mb": 256}


Timed = tuple[Verdict, float]


def one_by_one(backend: str, sources: dict[str, str]) -> dict[str, Timed]:
    """Verdicts of one worker, as `verify` gets them, each with the wall seconds it took."""
    names, found = list(sources), {}
    with Pool(backend, Limits(**LIMITS), 1) as pool:
        before = time.monotonic()
        for number, verdict in pool.run([(n, TASK, sources[name]) for n, name in enumerate(names)]):
            found[names[number]] = verdict, time.monotonic() - before
            before = time.monotonic()
    return found


@pytest.fixture(scope="module", params=["bubblewrap", "rlimits"])
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """All attacks against one backend, beside a file, a port and a variable that they must not see."""
    with pytest.MonkeyPatch.context() as patch:
        backend = usable(request.param, patch)
        patch.setenv("SANDBOX_CANARY", "1")
        patch.setenv("HF_TOKEN", "hf_canary")
        folder = tmp_path_factory.mktemp("host")
        (folder / "canary").write_text("x")
        listener = socket.create_server(("127.0.0.1", 0))
        local = socket.socket(socket.AF_UNIX)
        local.bind(str(folder / "s"))
        local.listen()
        with listener, local:
            canaries = (
                f"CANARY_FILE, CANARY_PORT, CANARY_SOCKET = {str(folder / 'canary')!r}, "
                f"{listener.getsockname()[1]}, {str(folder / 's')!r}\n"
            )
            attacks = {n: a for n, a in hostile.ATTACKS.items() if backend == "bubblewrap" or not a.jail}
            sources = {n: (canaries if "CANARY_" in a.source else "") + a.source for n, a in attacks.items()}
            halves = [dict(list(sources.items())[n::WORKERS]) for n in range(WORKERS)]
            others = set(descendants())  # of other tests in this process
            usual, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("own"))
            with ThreadPoolExecutor(WORKERS) as threads:
                verdicts = {
                    n: v for half in threads.map(one_by_one, [backend] * WORKERS, halves) for n, v in half.items()
                }
            own, tempfile.tempdir = Path(tempfile.tempdir), usual
            left = (set(descendants()) - others) | set(
                own.iterdir()
            )  # a socket lives no longer than the processes that hold it
            yield backend, verdicts, left


@pytest.mark.parametrize("name", hostile.ATTACKS)
def test_does_not_pass(judged: tuple[str, dict[str, Timed], set[int | Path]], name: str):
    """Nor does it take more than twice its wall limit, the start of a new jail included."""
    _, verdicts, _ = judged
    if name not in verdicts:
        pytest.skip("only ever runs inside a pid namespace of its own")
    verdict, seconds = verdicts[name]
    assert verdict.status in ("failed", "error", "timeout"), verdict
    if name.startswith("hanging") and "generator" not in name and "input" not in name:
        assert verdict.status == "timeout", verdict
    if name.startswith(("equality", "peeking", "lingering")):
        assert verdict.status == "failed", verdict
    assert verdict.reason and "\n" not in verdict.reason
    assert verdict.cpu_seconds < 3 * LIMITS["cpu_seconds"]
    assert seconds < 2 * WALL


@pytest.mark.parametrize("program", ["INSTANCE", "CLASS"])
@pytest.mark.parametrize("reference", [None, "class Own:\n    data = 1\ndef f(x):\n    return 4.25\n"])
def test_an_object_cannot_pose_as_a_plain_value(program: str, reference: str | None, backend: str):
    tests = [replace(TASK, tests=AssertTests((test,)), reference=reference) for test in hostile.POSING.values()]
    verdicts = verify(tests, [getattr(hostile, program)] * len(tests), workers=1, backend=backend)
    assert {n: v for n, v in zip(hostile.POSING, verdicts, strict=True) if v.status != "failed"} == {}


def test_there_are_at_least_sixty(judged):
    assert len(hostile.ATTACKS) >= 60 and len(judged[1]) >= 60


def test_leaves_no_process_and_no_file(judged):
    _, _, left = judged
    assert left == set()
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if readable(p)]
    assert not any(b"86399" in command for command in commands)
    for folder in ("/", "/usr", "/etc", "/var/tmp", "/dev/shm", "/home", "/root", "/run", "/dev"):
        assert not Path(folder, "sandbox-was-here").exists()


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_an_attack_that_succeeds_would_pass(backend):
    """The other side of `only_if`: these tests can fail."""
    assert verify([TASK], [hostile.only_if("return True")], backend=backend)[0].passed
    assert verify([TASK], [hostile.only_if("return False")], backend=backend)[0].status == "failed"


ADD_KEY, KEYCTL = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(os.uname().machine, (-1, -1))
SECRETS = {
    "file": ("open('/tmp/secret', 'w').write('x')", "return open('/tmp/secret').read() == 'x'"),
    "file in the working folder": ("open('secret', 'w').write('x')", "return open('secret').read() == 'x'"),
    "variable": ("import os\nos.environ['SECRET'] = 'x'", "import os\nreturn os.environ['SECRET'] == 'x'"),
    "module": ("import math\nmath.secret = 1", "import math\nreturn math.secret == 1"),
    "process": (
        "import os, socket, time\nif os.fork() == 0:\n    s = socket.socket(socket.AF_UNIX)\n    s.bind('\\0secret')\n"
        "    s.listen()\n    time.sleep(60)\ntime.sleep(0.1)",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0secret')\nreturn True",
    ),
    "message queue": (
        "import ctypes, os\nctypes.CDLL(None).mq_open(b'/secret', os.O_CREAT | os.O_RDWR, 0o666, 0)",
        "import ctypes\nreturn ctypes.CDLL(None).mq_open(b'/secret', 0) >= 0",
    ),
    **{
        f"key of the {name} keyring": (
            f"import ctypes\nlibc = ctypes.CDLL(None)\nlibc.syscall({ADD_KEY}, b'user', b'secret', b'x', 1, {ring})",
            f"import ctypes\nreturn ctypes.CDLL(None).syscall({KEYCTL}, 10, {ring}, b'user', b'secret', 0) > 0",
        )
        for name, ring in {"session": -3, "user": -4, "user session": -5}.items()
    },
    "flags of the standard input": (
        "import os\nos.set_blocking(0, False)",
        "import os\nreturn not os.get_blocking(0)",
    ),
    "lock of the standard input": (
        "import fcntl\nfcntl.flock(0, fcntl.LOCK_EX)",
        "import fcntl\ntry: fcntl.flock(open('/dev/null'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: return True",
    ),
    "limit": (
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (60, 60))",
        "import resource\nreturn resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 60",
    ),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_passes_from_one_candidate_to_the_next(secret: str, monkeypatch: pytest.MonkeyPatch):
    usable("bubblewrap", monkeypatch)
    leave, find = SECRETS[secret]
    spy = f"try:\n    exec({leave!r})\nexcept Exception: pass\n" + hostile.BLIND
    first, second = verify([TASK] * 2, [spy, hostile.only_if(find)], workers=1, backend="bubblewrap")
    assert first.status == "failed" and second.status == "failed"


GONE = {
    "removed": "import os\nos.rmdir(os.getcwd())",
    "removed, and the zygote killed": "import os\nos.rmdir(os.getcwd())\nos.kill(os.getppid(), 9)",
    "moved": "import os\nhere = os.getcwd()\nos.rename(here, here + '-moved')\nos.mkdir(here)",
    "closed": "import os\nos.chmod(os.getcwd(), 0)",
    "closed, and the zygote killed": "import os\nos.chmod(os.getcwd(), 0)\nos.kill(os.getppid(), 9)",
    "a link": "import os\nhere = os.getcwd()\nos.rmdir(here)\nos.symlink('/', here)\nos.kill(os.getppid(), 9)",
    "a file": "import os\nhere = os.getcwd()\nos.rmdir(here)\nopen(here, 'w')\nos.kill(os.getppid(), 9)",
}


@pytest.mark.parametrize("way", GONE)
def test_the_next_candidate_has_a_working_folder(way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Without bubblewrap, where the folder is the candidate's own."""
    usable("rlimits", monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writes = hostile.only_if("open('x', 'w').write('x')\nimport os\nreturn os.listdir('.') == ['x']")
    sources = [GONE[way] + "\n" + hostile.BLIND, writes]
    _, second = verify([TASK] * 2, sources, workers=1, backend="rlimits")
    assert second.passed, second
    assert [path for path in tmp_path.iterdir() if not path.name.endswith("-moved")] == []
