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
from dataclasses import dataclass, field
from typing import Any

from .judge import judge
from .limits import Limits, clamp, die_with_parent, set_subreaper, set_undumpable
from .processes import descendants, kill
from .remote import Candidate

START_SECONDS = 30.0
REFERENCE_SECONDS = 120  # CPU time a trusted reference may take for all inputs
REFERENCE_FACTOR = 4  # a candidate has at least this many times what the reference took (as in EvalPlus)
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


@dataclass
class Run:
    """What is known of the candidate at hand."""

    reader: int
    theirs: socket.socket
    started: bool = False
    late: bool = False
    cpu_seconds: float = 0.0
    deadline: float = field(default_factory=lambda: time.monotonic() + 2 * REFERENCE_SECONDS)
    data: bytearray = field(default_factory=bytearray)
    outcome: dict[str, Any] | None = None


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
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.judge(task, ours, writer, [reader, theirs.fileno()])
        ours.close()
        os.close(writer)
        run = Run(reader, theirs)
        try:
            if task["kind"] != "inputs":
                self.start_candidate(run, 0.0)
            self.attend(run)
        finally:
            os.close(reader)
            theirs.close()
            end(pid)
        if run.started and (run.outcome is None or not run.outcome["clean"]):
            self.jail.close()
            self.jail = None
        return self.weigh(run)

    def judge(self, task: dict[str, Any], ours: socket.socket, writer: int, others: list[int]) -> None:
        """The child that judges; it leaves through os._exit and says what it found through the pipe."""
        try:
            die_with_parent(self.pid)
            for fd in (self.caller_in, self.caller_out, *others):
                os.close(fd)
            if self.jail:
                self.jail.control.close()
            limits = self.limits
            clamp(resource.RLIMIT_AS, (2 * limits.memory_mb + 512) << 20)
            resource.setrlimit(resource.RLIMIT_CPU, (REFERENCE_SECONDS, resource.RLIM_INFINITY))
            random.seed(0)

            def phase(seconds: float) -> None:
                cpu = time.process_time() + 2 * max(limits.cpu_seconds, REFERENCE_FACTOR * seconds) + 10
                resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), resource.RLIM_INFINITY))
                os.write(writer, f"{seconds:.3f}|".encode())

            send_report(writer, judge(task, Candidate(ours.fileno()), phase))
        except BaseException as error:
            send_report(writer, {"status": "failed", "reason": f"judging the answer: {type(error).__name__}"})
        finally:
            os._exit(0)

    def start_candidate(self, run: Run, reference_seconds: float) -> None:
        """Let the zygote fork; the clocks of the candidate start here."""
        assert self.jail is not None
        run.started = True
        run.cpu_seconds = max(self.limits.cpu_seconds, REFERENCE_FACTOR * reference_seconds)
        run.deadline = time.monotonic() + max(self.limits.wall_seconds, 2 * REFERENCE_FACTOR * reference_seconds)
        try:
            socket.send_fds(self.jail.control, [f"start {run.cpu_seconds}".encode()], [run.theirs.fileno()])
        except OSError:
            pass  # the end of its control socket is seen below
        run.theirs.close()

    def attend(self, run: Run) -> None:
        """Wait until both the judge's report and the zygote's outcome are in, or the wall clock says stop."""
        assert self.jail is not None
        control = self.jail.control.fileno()
        poller = select.poll()
        poller.register(run.reader, select.POLLIN)
        poller.register(control, select.POLLIN)
        poller.register(self.caller_in, select.POLLHUP)
        judging, running = True, True
        while judging or running:
            ready = {fd for fd, _ in poller.poll(max(run.deadline - time.monotonic(), 0) * 1000)}
            if self.caller_in in ready:
                raise CallerGone
            if not ready:
                run.late = True
                if running and run.started:
                    run.outcome = self.stop_candidate()
                return
            if run.reader in ready:
                part = os.read(run.reader, 1 << 16)
                run.data += part
                if not run.started and b"|" in run.data:
                    self.start_candidate(run, float(run.data.partition(b"|")[0]))
                if not part:
                    judging = False
                    poller.unregister(run.reader)
                    if running and run.started:
                        run.outcome = self.stop_candidate()
                    running = False
            elif control in ready:
                run.outcome, running = self.outcome(), False
                poller.unregister(control)

    def stop_candidate(self) -> dict[str, Any] | None:
        assert self.jail is not None
        try:
            self.jail.control.send(b"kill")
        except OSError:
            return None
        return self.outcome()

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

    def weigh(self, run: Run) -> dict[str, Any]:
        """One report out of what the judge said and how the candidate's process ended."""
        _, _, body = bytes(run.data).partition(b"{")
        report: dict[str, Any] = marshal.loads(body) if body and not run.late else {"status": "silent", "gone": True}
        report["cpu"] = run.outcome["cpu"] if run.outcome else 0.0
        if not run.started and report["status"] == "silent":
            return {**report, "status": "unknown", "reason": "the reference ran out of time"}
        if not report.pop("gone", False):
            return report
        return {**report, **self.blame(report, run)}

    def blame(self, report: dict[str, Any], run: Run) -> dict[str, Any]:
        outcome = run.outcome
        why = outcome["why"] if outcome else "jail"
        if why == "cpu":
            return {"status": "timeout", "reason": f"more than {run.cpu_seconds:g} s of CPU time"}
        if run.late:
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
                return {"status": "timeout", "reason": f"more than {run.cpu_seconds:g} s of CPU time"}
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
