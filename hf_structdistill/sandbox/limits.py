"""What a candidate may use, and the system calls that make it so. Stdlib only: it runs inside the jail."""

from __future__ import annotations

import os
import resource

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_SIGKILL = 9


class Limits:
    """Bounds of one candidate.

    Attributes:
        cpu_seconds: CPU time of the candidate's process, all its threads.
        wall_seconds: the backstop, for what waits and never computes.
        memory_mb: address space of a process, and resident memory of all of them together.
        file_mb: size of a file; its working folder holds four of these.
        open_files: file descriptors of a process.
        processes: processes and threads at one time.
    """

    def __init__(
        self,
        cpu_seconds: float = 5.0,
        wall_seconds: float = 30.0,
        memory_mb: int = 1024,
        file_mb: int = 16,
        open_files: int = 64,
        processes: int = 32,
    ):
        self.cpu_seconds = cpu_seconds
        self.wall_seconds = wall_seconds
        self.memory_mb = memory_mb
        self.file_mb = file_mb
        self.open_files = open_files
        self.processes = processes


def clamped(kind: int, wanted: int) -> tuple[int, int]:
    """Soft and hard limit, no higher than the hard limit that is in force."""
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    return value, value


def clamp(kind: int, wanted: int) -> None:
    """Set a soft and hard limit, no higher than the hard limit that is in force."""
    resource.setrlimit(kind, clamped(kind, wanted))


def arm(limits: Limits) -> None:
    """Put this process, and all it will start, under the limits that the zygote can live under."""
    clamp(resource.RLIMIT_CORE, 0)
    clamp(resource.RLIMIT_FSIZE, limits.file_mb << 20)
    clamp(resource.RLIMIT_NOFILE, limits.open_files)
    clamp(resource.RLIMIT_AS, limits.memory_mb << 20)


def become(uid: int) -> None:
    """Give up every privilege for the unprivileged user `uid` (RLIMIT_NPROC does not bind root)."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _prctl(option: int, value: int) -> None:
    import ctypes  # here: where nothing asks for it, every fork is cheaper by its pages

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def set_undumpable() -> None:
    """Refuse ptrace and /proc/<pid>/mem to other processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


def set_subreaper() -> None:
    """Orphans below this process become its children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when `parent` ends, also when it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
