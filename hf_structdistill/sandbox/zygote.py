"""Inside the jail: one warm interpreter that forks a child for each candidate, watches it and cleans up after it.

Control messages (a SOCK_SEQPACKET pair with the worker): `start <CPU seconds>` with the candidate's end of its
channel, and `kill`;
the answer, once nothing of the candidate is left, is a JSON object (see `Outcome`). The end of the control socket
ends the zygote and everything below it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import sys
import time
from dataclasses import replace
from typing import Any

from .candidate import Server
from .channel import Channel
from .limits import Limits, arm, become, set_subreaper, set_undumpable
from .processes import count_lines, descendants, kill, resident_pages

POLL = 0.02  # seconds between looks at processes and memory
PRELOAD = (
    "abc array bisect calendar cmath collections contextlib copy dataclasses datetime decimal enum fractions "
    "functools graphlib hashlib heapq itertools math numbers operator re statistics string textwrap typing"
).split()


def main(config: dict[str, Any]) -> None:
    """Serve until the worker goes. `config`: fd, limits, uid or None, alone (is this pid 1 of its own namespace?)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in PRELOAD:
        __import__(name)
    set_undumpable()
    zygote = Zygote(config)
    gc.collect()
    gc.freeze()  # children share these pages for as long as nothing walks over them
    zygote.run()


class Zygote:
    def __init__(self, config: dict[str, Any]):
        self.control = socket.socket(fileno=config["fd"])
        self.limits = Limits(**config["limits"])
        self.uid: int | None = config["uid"]
        self.alone: bool = config["alone"]
        self.cores = len(os.sched_getaffinity(0))
        if not self.alone:
            set_subreaper()
        self.settings = self.own_settings()

    def own_settings(self) -> tuple[Any, ...]:
        """What a candidate of the same user could change about this process from outside."""
        names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
        limits = tuple(resource.getrlimit(getattr(resource, name)) for name in names)
        return limits, os.getpriority(os.PRIO_PROCESS, 0), tuple(os.sched_getaffinity(0)), os.sched_getscheduler(0)

    def run(self) -> None:
        self.control.send(b'{"ready": true}')
        while True:
            message, fds, _, _ = socket.recv_fds(self.control, 16, 4)
            if not message:
                break
            if message.startswith(b"start "):
                self.control.send(json.dumps(self.one(fds[0], float(message[6:]))).encode())
        self.sweep()

    def one(self, fd: int, cpu_seconds: float) -> dict[str, Any]:
        started = time.monotonic()
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
        clean = self.tidy() and self.own_settings() == self.settings
        return {
            "why": why,
            "status": status,
            "cpu": cpu,
            "wall": time.monotonic() - started,
            "clean": clean,
        }

    def child(self, fd: int, cpu_seconds: float) -> None:
        code = 1
        try:
            self.control.close()
            if self.uid is not None:
                become(self.uid)
            arm(replace(self.limits, cpu_seconds=cpu_seconds))
            random.seed(0)
            Server(Channel(fd)).run()
            code = 0
        except BaseException:
            code = 1
        finally:
            os._exit(code)

    def watch(self, pid: int, watch: int, cpu_seconds: float) -> str:
        """Wait for the candidate's end, the worker's word, or a limit; say which."""
        poller = select.poll()
        poller.register(watch, select.POLLIN)
        poller.register(self.control, select.POLLIN)
        clock = (~pid << 3) | 2  # the CPU-time clock of that process, all its threads
        while True:
            try:
                left = cpu_seconds - time.clock_gettime(clock)
            except OSError:
                return "exit"
            if left <= 0:
                return "cpu"
            wait = min(max(left / self.cores, 0.001), POLL)
            ready = {fd for fd, _ in poller.poll(wait * 1000)}
            if watch in ready:
                return "exit"
            if self.control.fileno() in ready:
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
        for entry in os.scandir("."):
            try:
                os.unlink(entry) if not entry.is_dir(follow_symlinks=False) else shutil.rmtree(entry)
            except OSError:
                return False
        return not self.alone or all(count_lines(f"/proc/sysvipc/{name}") <= 1 for name in ("shm", "msg", "sem"))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
