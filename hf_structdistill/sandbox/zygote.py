"""Inside the jail: one warm interpreter that forks a child for each candidate, watches it and cleans up after it.

Control messages (a SOCK_SEQPACKET pair with the worker): `start <CPU seconds>` with the candidate's end of its
channel, and `kill`; the answer, once nothing of the candidate is left, is a text: why it ended, its wait status, CPU
seconds of all its processes, and whether nothing is left that the next candidate could find. The end of the control
socket ends the zygote and everything below it.

After a fork every page that either side touches costs a fault and a copy, about 3 us: what runs here for each
candidate does as little as it can.
"""

from __future__ import annotations

import gc
import marshal
import math
import os
import resource
import select
import signal
import time

from .candidate import Server
from .channel import Channel
from .limits import Limits, arm, become, clamped, refuse_calls, set_subreaper, set_undumpable
from .processes import descendants, empty, kill, resident_pages, tasks_of
from .wires import receive_fd, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POLL = 0.02  # seconds between looks at processes and memory
# What programs import most; each more makes every fork dearer, each less makes its users import it.
PRELOAD = "bisect collections functools heapq itertools math operator re string typing".split()


def main(config: dict[str, Any]) -> None:
    """Serve until the worker goes. `config`: fd, limits, uid or None, alone (is this pid 1 of its own namespace?)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in PRELOAD:
        __import__(name)
    zygote = Zygote(config)
    zygote.warm_up()
    gc.collect()
    gc.freeze()  # children share these pages for as long as nothing walks over them
    zygote.run()


class Zygote:
    def __init__(self, config: dict[str, Any]):
        self.control = socket(fileno=config["fd"])
        self.limits = Limits(**config["limits"])
        self.uid: int | None = config["uid"]
        self.alone: bool = config["alone"]
        self.cores = len(os.sched_getaffinity(0))
        if self.uid is None:  # candidates are the same user as this process
            set_undumpable()
        if not self.alone:
            os.setsid()
            os.chdir(config["folder"])
            set_subreaper()
        self.folder = os.path.realpath(config["folder"] or ".")
        self.at_start = set(os.listdir("."))
        self.entry = self.folder_entry()
        arm(self.limits)
        refuse_calls()
        self.settings = self.own_settings()
        names = ("shm", "msg", "sem") if self.alone else ()
        self.ipc = [os.open(f"/proc/sysvipc/{name}", os.O_RDONLY) for name in names]
        self.no_ipc = [os.pread(fd, 4096, 0) for fd in self.ipc]

    def warm_up(self) -> None:
        """Do once here what every child would have to do for the first time."""
        server = Server(Channel(-1))
        source = (
            "from typing import List\nimport math, re\ndef f(x: List[int]) -> List[int]:\n    return [i for i in x]\n"
        )
        server.answer(marshal.dumps(("load", -1, True, (source, ["f"]), True)))
        server.answer(marshal.dumps(("call", 0, True, ([1, ("a", 2.0)],), True)))
        server.answer(marshal.dumps(("call", 0, True, ("ab",), True)))

    def own_settings(self) -> tuple[Any, ...]:
        """What a candidate of the same user could change about this process from outside."""
        names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
        limits = tuple(resource.getrlimit(getattr(resource, name)) for name in names)
        return limits, os.getpriority(os.PRIO_PROCESS, 0), tuple(os.sched_getaffinity(0)), os.sched_getscheduler(0)

    def run(self) -> None:
        self.control.send(b"ready")
        os.dup2(1, 2)  # what it said while it started went to the worker; from here on, nothing does
        while True:
            message, fd = receive_fd(self.control, 64)
            if not message:
                break
            if message.startswith(b"start ") and fd is not None:
                self.control.send(self.one(fd, float(message[6:])))
        self.sweep()

    def one(self, fd: int, cpu_seconds: float) -> bytes:
        pid = os.fork()
        if pid == 0:
            self.child(fd, cpu_seconds)
        os.close(fd)
        watch = os.pidfd_open(pid)
        try:
            why = self.watch(pid, watch, cpu_seconds)
        finally:
            os.close(watch)
        status, cpu = self.sweep(pid)
        clean = self.tidy() and (self.uid is not None or self.own_settings() == self.settings)
        return b"%s %d %f %d" % (why.encode(), status, cpu, clean)

    def child(self, fd: int, cpu_seconds: float) -> None:
        code = 1
        try:
            os.close(self.control.fileno())
            for ipc in self.ipc:
                os.close(ipc)
            own_null()
            others = 0 if self.alone else tasks_of(os.getuid())  # the limit is on all that the user runs
            resource.setrlimit(resource.RLIMIT_NPROC, clamped(resource.RLIMIT_NPROC, others + self.limits.processes))
            # The watcher is finer about CPU time; this holds without it.
            resource.setrlimit(resource.RLIMIT_CPU, clamped(resource.RLIMIT_CPU, math.ceil(cpu_seconds) + 1))
            if self.uid is not None:
                become(self.uid)
            Server(Channel(fd)).run()
            code = 0
        except BaseException:
            code = 1
        finally:
            os._exit(code)

    def watch(self, pid: int, watch: int, cpu_seconds: float) -> str:
        """Wait for the candidate's end, the worker's word, or a limit; say which."""
        control = self.control.fileno()
        poller = select.poll()
        poller.register(watch, select.POLLIN)
        poller.register(control, select.POLLIN)
        clock = (~pid << 3) | 2  # the CPU-time clock of that process, all its threads
        while True:
            try:
                left = cpu_seconds - time.clock_gettime(clock)
            except OSError:
                return "exit"
            if left <= 0:
                return "cpu"
            wait = min(max(left / self.cores, 0.001), POLL)
            ready = poller.poll(wait * 1000)
            if ready:
                if (watch, select.POLLIN) in ready:
                    return "exit"
                self.control.recv(16)
                return "kill"
            excess = self.excess(pid)
            if excess:
                return excess

    def excess(self, pid: int) -> str | None:
        """Too many processes, or too much memory in all of them together?"""
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()] if self.alone else descendants()
        if len(pids) > self.limits.processes + 1:
            return "processes"
        if len(pids) <= 2:
            return None  # RLIMIT_AS binds a single process
        pages = sum(resident_pages(other) for other in pids)
        return "memory" if pages * resource.getpagesize() > self.limits.memory_mb << 20 else None

    def sweep(self, pid: int = 0) -> tuple[int, float]:
        """End and reap everything below; the wait status of `pid` and the CPU seconds of all."""
        status, cpu = 0, 0.0
        while True:
            self.kill_all()
            try:
                while True:
                    done, code, usage = os.wait4(-1, 0 if self.alone else os.WNOHANG)
                    if done == 0:
                        time.sleep(0.001)
                        break
                    cpu += usage.ru_utime + usage.ru_stime
                    if done == pid:
                        status = code
            except ChildProcessError:
                return status, cpu

    def kill_all(self) -> None:
        if not self.alone:
            for pid in descendants():
                kill(pid)
            return
        try:
            os.kill(-1, signal.SIGKILL)  # never more than this namespace: `alone` says we are its pid 1
        except ProcessLookupError:
            pass

    def tidy(self) -> bool:
        """Empty the working folder; False when something is left that the next candidate could find."""
        if left := set(os.listdir(".")) ^ self.at_start:
            for name in left - self.at_start:
                empty(name)
            if set(os.listdir(".")) != self.at_start:
                return False
        return self.folder_entry() == self.entry and [os.pread(fd, 4096, 0) for fd in self.ipc] == self.no_ipc

    def folder_entry(self) -> tuple[Any, ...] | None:
        """What the working folder's path leads to; not this process's folder any more, if it was moved or removed."""
        try:
            found = os.lstat(self.folder)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mode, found.st_uid, attributes(self.folder)


def attributes(path: str) -> list[str]:
    """Names of a file's extended attributes: a default ACL among them would close the next candidate's files."""
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []  # there are none on this file system


def own_null() -> None:
    """Open /dev/null anew for input and output: flags and locks of the one that this process holds would stay."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)
