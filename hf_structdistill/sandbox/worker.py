"""One worker: a jail with a zygote, and a fresh judge for every candidate.

It takes tasks from the process that called `verify` and returns reports, both as marshalled dicts over pipes (both
ends are ours). It stays responsive whatever judge and candidate do, and ends everything below it when its caller is
gone.
"""

from __future__ import annotations

import json
import marshal
import os
import random
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from typing import Any

from .judge import judge
from .limits import Limits, clamp, die_with_parent, set_subreaper, set_undumpable
from .processes import descendants, kill
from .remote import Candidate

START_SECONDS = 30.0
EXPECTED_BYTES = 4 << 20  # expected answers larger than this are computed again for the next candidate


class CallerGone(Exception):
    """The process that called `verify` has ended."""


class Jail:
    """A running zygote and the control socket to it."""

    def __init__(self, command: list[str], config: dict[str, Any], environment: dict[str, str], folder: str):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = {**config, "fd": theirs.fileno()}
        self.process = subprocess.Popen(
            [*command, json.dumps(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        theirs.close()
        self.control.settimeout(START_SECONDS)
        try:
            if self.control.recv(4096):
                self.control.settimeout(None)
                return
        except TimeoutError:
            pass
        self.process.kill()
        errors = (self.process.communicate()[1] or b"").decode(errors="replace").strip().splitlines()
        raise RuntimeError("the sandbox did not start: " + (errors[-1] if errors else "no message"))

    def close(self) -> None:
        self.control.close()  # the zygote sweeps and goes
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
        for pid in descendants():  # without a pid namespace, what a candidate started outlives its zygote
            kill(pid)


class Worker:
    def __init__(self, config: dict[str, Any]):
        self.caller_in = os.dup(0)
        self.caller_out = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        self.pid = os.getpid()
        self.config = config
        self.limits = Limits(**config["zygote"]["limits"])
        self.problems: dict[int, dict[str, Any]] = {}
        self.jail: Jail | None = None

    def run(self) -> None:
        try:
            while (task := self.next_task()) is not None:
                self.reply(self.guarded(task))
        except CallerGone:
            pass
        finally:
            if self.jail:
                self.jail.close()
            if self.config["folder"]:
                shutil.rmtree(self.config["folder"], ignore_errors=True)

    def next_task(self) -> dict[str, Any] | None:
        head = read_exactly(self.caller_in, 8)
        if head is None:
            return None
        data = read_exactly(self.caller_in, int.from_bytes(head, "big"))
        return None if data is None else marshal.loads(data)

    def reply(self, report: dict[str, Any]) -> None:
        data = marshal.dumps(report)
        view = memoryview(len(data).to_bytes(8, "big") + data)
        try:
            while view:
                view = view[os.write(self.caller_out, view) :]
        except OSError:
            raise CallerGone from None

    def guarded(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            if message.get("problem") is not None:
                self.problems = {
                    message["key"]: message["problem"]
                }  # the last one only: tasks come problem by problem
            task = {**self.problems[message["key"]], "candidate": message["candidate"]}
            report = self.one(task)
            expected = report.pop("expected", None)
            if expected is not None:
                self.problems[message["key"]]["expected"] = expected
        except CallerGone:
            raise
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(where.filename)}:{where.lineno}"
            report = {"status": "unknown", "reason": f"the runner broke: {type(error).__name__}: {error} ({place})"}
        return {"number": message["number"], **report}

    def one(self, task: dict[str, Any]) -> dict[str, Any]:
        if self.jail is None:
            self.jail = Jail(
                self.config["command"], self.config["zygote"], self.config["environment"], self.config["cwd"]
            )
        ours, theirs = socket.socketpair()
        socket.send_fds(self.jail.control, [b"start"], [theirs.fileno()])
        theirs.close()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.judge(task, ours, writer, reader)
        ours.close()
        os.close(writer)
        try:
            data, outcome, late = self.attend(reader)
        finally:
            os.close(reader)
            end(pid)
        if outcome is None or not outcome["clean"]:
            self.jail.close()
            self.jail = None
        return self.weigh(data, outcome, late)

    def judge(self, task: dict[str, Any], ours: socket.socket, writer: int, reader: int) -> None:
        """The child that judges; it leaves through os._exit and says what it found through the pipe."""
        try:
            die_with_parent(self.pid)
            os.close(self.caller_in)
            os.close(self.caller_out)
            os.close(reader)
            if self.jail:
                self.jail.control.close()
            clamp(resource.RLIMIT_CPU, int(2 * self.limits.cpu_seconds) + 10)
            clamp(resource.RLIMIT_AS, (2 * self.limits.memory_mb + 512) << 20)
            random.seed(0)
            report = judge(task, Candidate(ours.fileno()), lambda name: os.write(writer, name[:1].encode()) and None)
            send_report(writer, report)
        except BaseException as error:
            send_report(writer, {"status": "failed", "reason": f"judging the answer: {type(error).__name__}"})
        finally:
            os._exit(0)

    def attend(self, reader: int) -> tuple[bytes, dict[str, Any] | None, bool]:
        """Wait until both the judge's report and the zygote's outcome are in, or the wall clock says stop."""
        assert self.jail is not None
        control = self.jail.control
        poller = select.poll()
        for fd in (reader, control.fileno(), self.caller_in):
            poller.register(fd, select.POLLIN if fd != self.caller_in else select.POLLHUP)
        deadline = time.monotonic() + self.limits.wall_seconds
        parts: list[bytes] = []
        outcome: dict[str, Any] | None = None
        judging, running = True, True
        while judging or running:
            left = deadline - time.monotonic()
            ready = {fd for fd, _ in poller.poll(max(left, 0) * 1000)}
            if self.caller_in in ready:
                raise CallerGone
            if not ready:
                if running:
                    outcome = self.stop_candidate(True)
                return b"".join(parts), outcome, True
            if reader in ready:
                part = os.read(reader, 1 << 16)
                parts.append(part)
                if not part:
                    judging = False
                    poller.unregister(reader)
                    if running:
                        outcome, running = self.stop_candidate(False), False
            elif control.fileno() in ready:
                outcome, running = self.outcome(), False
                poller.unregister(control.fileno())
        return b"".join(parts), outcome, False

    def stop_candidate(self, late: bool) -> dict[str, Any] | None:
        assert self.jail is not None
        try:
            self.jail.control.send(b"kill")
        except OSError:
            return None
        outcome = self.outcome()
        if outcome is not None and late and outcome["why"] == "kill":
            outcome["why"] = "wall"
        return outcome

    def outcome(self) -> dict[str, Any] | None:
        assert self.jail is not None
        self.jail.control.settimeout(10)
        try:
            data = self.jail.control.recv(4096)
        except OSError:
            return None
        finally:
            self.jail.control.settimeout(None)
        return json.loads(data) if data else None

    def weigh(self, data: bytes, outcome: dict[str, Any] | None, late: bool) -> dict[str, Any]:
        """One report out of what the judge said and how the candidate's process ended."""
        phases, _, body = data.partition(b"{")
        report: dict[str, Any] = marshal.loads(body) if body and not late else {"status": "silent", "gone": True}
        report["cpu"] = outcome["cpu"] if outcome else 0.0
        gone = report.pop("gone", False)
        if report["status"] == "silent" and phases == b"r":
            return {**report, "status": "unknown", "reason": "the reference ran out of time"}
        if not gone:
            return report
        return {**report, **self.blame(report, outcome, late)}

    def blame(self, report: dict[str, Any], outcome: dict[str, Any] | None, late: bool) -> dict[str, Any]:
        why = outcome["why"] if outcome else "jail"
        if why == "cpu":
            return {"status": "timeout", "reason": f"more than {self.limits.cpu_seconds:g} s of CPU time"}
        if late or why == "wall":
            return {"status": "timeout", "reason": f"more than {self.limits.wall_seconds:g} s of wall-clock time"}
        if why == "jail":
            return {"status": "error", "reason": "the candidate brought its jail down"}
        if why == "processes":
            return {"status": "error", "reason": f"more than {self.limits.processes} processes"}
        if why == "memory":
            return {"status": "error", "reason": f"more than {self.limits.memory_mb} MB of memory"}
        if report["status"] == "silent":
            return {"status": "timeout", "reason": "judging the answers took too long"}
        status = outcome["status"] if outcome else 0
        if why == "exit" and os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number == signal.SIGXCPU:
                return {"status": "timeout", "reason": f"more than {self.limits.cpu_seconds:g} s of CPU time"}
            return {"status": "error", "reason": f"the candidate was ended by {signal.Signals(number).name}"}
        if why == "exit" and report["reason"].endswith("process ended"):
            return {"reason": f"the candidate's process ended with exit code {os.WEXITSTATUS(status)}"}
        return {}


def send_report(writer: int, report: dict[str, Any]) -> None:
    try:
        expected = report.get("expected")
        if expected is not None and len(marshal.dumps(expected)) > EXPECTED_BYTES:
            report["expected"] = None
        data = marshal.dumps(report)
    except ValueError:  # expected answers that are no plain values
        report["expected"] = None
        data = marshal.dumps(report)
    view = memoryview(b"{" + data)
    while view:
        view = view[os.write(writer, view) :]


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)


def read_exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main(config: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller hears Ctrl-C and closes the pipe
    set_undumpable()
    set_subreaper()
    Worker(config).run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
