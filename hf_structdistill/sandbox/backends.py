"""How the jail is started: bubblewrap where it works, plain rlimits where the user opts in."""

from __future__ import annotations

import functools
import json
import os
import shutil
import stat
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .limits import Limits

BACKENDS = ("bubblewrap", "rlimits")
OPT_IN = "HF_ALLOW_CODE_EVAL"
HERE = Path(__file__).resolve().parent
INSIDE = "/sandbox"  # where this folder is mounted in the jail
FIRST_UID = 1_800_000_000  # of the unprivileged users that root's candidates become, one a worker

# Imports the runner's modules without the package above them, so that an interpreter is ready in milliseconds.
BOOT = """
import sys, types
for name in ("hf_structdistill", "hf_structdistill.sandbox"):
    module = types.ModuleType(name)
    module.__path__ = [{folder!r}]
    sys.modules[name] = module
sys.path[:] = [p for p in sys.path if p]
import json
from hf_structdistill.sandbox.{module} import main
main(json.loads(sys.argv[1]))
"""


@dataclass(frozen=True)
class Launch:
    """How to start a worker's jail: command, environment and the zygote's settings."""

    command: list[str]
    config: dict[str, Any]
    environment: dict[str, str]


def interpreter() -> str:
    """The interpreter below any virtual environment: candidates get the standard library and nothing else."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def python(module: str, folder: str) -> list[str]:
    """Command that runs `main` of one of this folder's modules; its one argument is a JSON object."""
    return [interpreter(), "-s", "-S", "-W", "ignore", "-c", BOOT.format(folder=folder, module=module)]


def environment(home: str) -> dict[str, str]:
    """All that runner and candidate see of the environment. A fixed hash seed: the same verdict every time."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",  # else each thread takes 64 MB of address space, up to eight times the cores
    }


def choose_backend(wanted: str | None) -> str:
    """Name of the backend to use. Raises InputError that says what to install or set."""
    if wanted not in (None, *BACKENDS):
        raise InputError(f"Expected backend to be one of {', '.join(BACKENDS)} or None, found {wanted!r}.")
    if sys.platform != "linux":
        raise InputError(
            f"Expected Linux to run candidates on, found {sys.platform}; use a Linux machine or container."
        )
    if wanted != "rlimits":
        problem = bubblewrap_problem()
        if problem is None:
            return "bubblewrap"
        if wanted == "bubblewrap" or os.environ.get(OPT_IN) != "1":
            raise InputError(
                f"Expected bubblewrap to isolate the candidates, but {problem}; or set {OPT_IN}=1 to run them with "
                "resource limits only, which keeps them neither from your files nor from the network."
            )
    if os.environ.get(OPT_IN) != "1":
        raise InputError(
            f"Expected {OPT_IN}=1 in the environment for backend 'rlimits', found {os.environ.get(OPT_IN)!r}: "
            "candidates would run as you, with resource limits only; install bubblewrap, or set it if you trust them."
        )
    warnings.warn(
        "candidates run without bubblewrap: their CPU time, memory, files' size and processes are limited, but they "
        "can read and write your files, use the network and see other processes",
        RuntimeWarning,
        stacklevel=3,
    )
    return "rlimits"


def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be used here, and what to do; None when it can."""
    mode, problem = probe(os.environ.get("PATH"))
    return None if mode else problem


@functools.lru_cache(maxsize=4)
def probe(path: str | None) -> tuple[str | None, str]:
    """The mode in which bubblewrap starts, or None and what stands in its way. `path` is only the cache's key."""
    if shutil.which("bwrap") is None:
        return None, "there is no bwrap on PATH (install it: apt install bubblewrap, dnf install bubblewrap)"
    said = ""
    for mode in modes():
        command = [*bubblewrap(mode, HERE), interpreter(), "-I", "-S", "-c", ""]
        done = subprocess.run(command, capture_output=True, text=True, env=environment("/tmp"), timeout=60)
        if done.returncode == 0:
            return mode, ""
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return None, (
        f"it cannot start here: {said} (are user namespaces forbidden? in a container allow them, e.g. docker run "
        "--security-opt seccomp=unconfined; on a host: sysctl -w kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0)"
    )


def modes() -> tuple[str, ...]:
    """Root goes without a user namespace where it may: it can then give each candidate a user of its own."""
    return ("root", "user") if os.geteuid() == 0 and readable_by_all() else ("user",)


def readable_by_all() -> bool:
    """May any user read the interpreter's prefix? Its parents do not matter: the jail makes its own."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    return os.stat(sys.base_prefix).st_mode & wanted == wanted


@functools.lru_cache(maxsize=1)
def options() -> str:
    """What this bwrap can do: 0.6 has no --size."""
    return subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout


def bubblewrap(mode: str, sandbox: Path, size_mb: int = 64) -> list[str]:
    """The bwrap command up to what runs inside: system and interpreter read-only, everything else private or gone."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--as-pid-1", "--hostname", "sandbox"]
    if mode == "user":
        command += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        command += ["--disable-userns"] if "--disable-userns" in options() else []
    else:
        command += ["--cap-drop", "ALL"]
        command += [
            word for cap in ("SETUID", "SETGID", "KILL", "DAC_OVERRIDE") for word in ("--cap-add", f"CAP_{cap}")
        ]
    command += ["--perms", "1777"] if "--perms" in options() else []
    command += ["--size", str(size_mb << 20)] if "--size" in options() else []
    command += ["--tmpfs", "/tmp"]  # first: the interpreter may lie below it
    for folder in ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin"):
        if os.path.islink(folder):
            command += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            command += ["--ro-bind", folder, folder]
    prefix = os.path.realpath(sys.base_prefix)
    if not prefix.startswith("/usr/") and prefix != "/usr":
        for parent in reversed(
            Path(prefix).parents[:-1]
        ):  # bwrap copies a private parent's mode: /root would be closed
            command += ["--dir", str(parent)] if str(parent) != "/usr" else []
        command += ["--ro-bind", prefix, prefix]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/nix/store", "/nix/store"]
    command += ["--ro-bind", str(sandbox), INSIDE, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    return [*command, "--chdir", "/tmp", "--remount-ro", "/"]


def launch(backend: str, limits: Limits, worker: int, folder: str | None) -> Launch:
    """How worker number `worker` starts its jail; `folder` is the candidates' working folder without bubblewrap."""
    config: dict[str, Any] = {"limits": vars(limits), "uid": None, "alone": backend == "bubblewrap", "folder": folder}
    if backend == "bubblewrap":
        mode = probe(os.environ.get("PATH"))[0] or "user"
        if mode == "root":
            config["uid"] = FIRST_UID + (os.getpid() * 64 + worker) % 100_000_000
        command = [*bubblewrap(mode, HERE, 4 * limits.file_mb), *python("zygote", INSIDE)]
        from . import zygote  # noqa: F401  compiled here, so that the jail finds bytecode: its view is read-only

        return Launch(command, config, environment("/tmp"))
    assert folder is not None
    return Launch(python("zygote", str(HERE)), config, environment(folder))


def worker_command(backend: str, limits: Limits, worker: int, folder: str | None) -> list[str]:
    """The command line of a worker, all it needs to know included."""
    how = launch(backend, limits, worker, folder)
    config = {
        "command": how.command,
        "zygote": how.config,
        "environment": how.environment,
        "folder": folder,
        "packages": [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))],
    }
    return [*python("worker", str(HERE)), json.dumps(config)]
