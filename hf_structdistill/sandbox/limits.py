"""What a candidate may use, and the system calls that make it so. Stdlib only: it runs inside the jail."""

from __future__ import annotations

import os
import resource

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
# Machine: its name for seccomp, the call seccomp, and what is refused: add_key, request_key, keyctl (keyrings outlive
# who filled them); shmget, semget, msgget, memfd_create, memfd_secret (no limit counts memory that nothing maps).
_REFUSED = {
    "x86_64": (0xC000003E, 317, (248, 249, 250, 29, 64, 68, 319, 447)),
    "aarch64": (0xC00000B7, 277, (217, 218, 219, 194, 190, 186, 279, 447)),
}


class Limits:
    """Bounds of one candidate.

    Attributes:
        cpu_seconds: CPU time of the candidate's process, all its threads.
        wall_seconds: the backstop, for what waits and never computes.
        memory_mb: address space of a process, and resident memory of all of them together.
        file_mb: size of a file; its working folder holds four of these.
        open_files: file descriptors of a process.
        processes: processes and threads at one time; a thread pool by default has up to 32.
    """

    def __init__(
        self,
        cpu_seconds: float = 5.0,
        wall_seconds: float = 30.0,
        memory_mb: int = 1024,
        file_mb: int = 16,
        open_files: int = 64,
        processes: int = 40,
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
    clamp(resource.RLIMIT_MSGQUEUE, 0)  # POSIX queues outlive who made them
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


def refuse_calls() -> bool:
    """Let keyrings and memory without a process be out of reach of this process and all below it.

    A seccomp filter; it closes the other ways into the kernel (32 bit, x32) as well. False where there is none.
    """
    machine = os.uname().machine
    if machine not in _REFUSED:
        return False
    import ctypes
    import struct

    arch, seccomp, calls = _REFUSED[machine]
    load, equal, above, give = 0x20, 0x15, 0x35, 0x06
    checks = [(equal, len(calls) - n, 0, call) for n, call in enumerate(calls)]
    steps = [(load, 0, 0, 4), (equal, 0, len(calls) + 3, arch), (load, 0, 0, 0), (above, len(calls) + 1, 0, 1 << 30)]
    steps += [*checks, (give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x50000 | 38)]  # allowed; ENOSYS
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    text = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(steps), ctypes.addressof(text))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return ctypes.CDLL(None).syscall(seccomp, 1, 4, program) == 0


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
