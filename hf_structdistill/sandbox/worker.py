"""One worker: a jail with a zygote, and a judge, for one candidate after the other.

It takes tasks from the process that called `verify` and returns reports, marshalled (both ends are ours). It stays
responsive whatever judge and candidate do, and ends everything below it when its caller is gone.
"""

from __future__ import annotations

import json
import marshal
import os
import resource
import select
import signal
import sys
import time

from .channel import Channel
from .judge import judge
from .limits import Limits, clamp, die_with_parent, set_subreaper, set_undumpable
from .processes import descendants, empty, kill, renew
from .remote import Candidate
from .wires import packet_pair, read_exactly, receive_fd, send_fd, socket, stream_pair, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

START_SECONDS = 30.0
REFERENCE_SECONDS = 120  # CPU time a trusted reference may take for all inputs
REFERENCE_FACTOR = 4  # a candidate has at least this many times what the reference took (as in EvalPlus)
JUDGE_TASKS = 500  # candidates that one judge process sees


class CallerGone(Exception):
    """The process that called `verify` has ended."""


class Jail:
    """A running zygote and the control socket to it."""

    def __init__(self, command: list[str], config: dict[str, Any], environment: dict[str, str]):
        self.control, theirs = packet_pair()
        fd = theirs.fileno()
        os.set_inheritable(fd, True)
        errors, error_end = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, old, new) for old, new in ((null, 0), (null, 1), (error_end, 2))]
        words = [*command, json.dumps({**config, "fd": fd})]
        self.pid = os.posix_spawnp(words[0], words, environment, file_actions=actions)
        for used in (null, error_end):
            os.close(used)
        theirs.close()
        self.control.settimeout(START_SECONDS)
        try:
            started = self.control.recv(4096)
        except OSError:
            started = b""
        self.control.settimeout(None)
        if not started:
            kill(self.pid)
            os.waitpid(self.pid, 0)
            said = (read_all(errors) or b"no message").decode(errors="replace").strip().splitlines()
            os.close(errors)
            raise RuntimeError(f"the sandbox did not start: {said[-1]}")
        os.close(errors)

    def close(self) -> None:
        """The zygote sweeps and goes when its control socket closes; what does not go is killed."""
        self.control.close()
        deadline = time.monotonic() + 5
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                kill(self.pid)
            time.sleep(0.002)


class JudgeProcess:
    """A child that runs trusted tests, one task after the other; replaced as soon as one did not end well."""

    def __init__(self, limits: Limits, close: list[int], packages: list[str]):
        self.wire, theirs = stream_pair()
        self.results = Channel(self.wire.fileno())
        self.tasks = 0
        self.key: int | None = None  # of the problem that it holds
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with_parent(parent)
                for fd in (self.wire.fileno(), *close):
                    os.close(fd)
                sys.path += packages  # trusted tests may import numpy; candidates see none of it
                serve_judge(theirs, limits)
            finally:
                os._exit(0)
        theirs.close()

    def give(self, key: int, problem: bytes, candidate: str, fd: int) -> None:
        self.tasks += 1
        data = marshal.dumps((candidate, None if key == self.key else problem))
        self.key = key
        send_fd(self.wire, len(data).to_bytes(8, "big"), fd)
        write_all(self.wire.fileno(), data)

    def end(self) -> None:
        self.wire.close()
        kill(self.pid)
        os.waitpid(self.pid, 0)


def serve_judge(wire: socket, limits: Limits) -> None:
    """The judge's process. Its CPU time is bounded anew for each task."""
    clamp(resource.RLIMIT_AS, (2 * limits.memory_mb + 512) << 20)
    reports = Channel(wire.fileno())
    recursion = sys.getrecursionlimit()
    task: dict[str, Any] = {}
    while True:
        head, fd = receive_fd(wire, 8)
        data = read_exactly(wire.fileno(), int.from_bytes(head, "big")) if len(head) == 8 else None
        if data is None or fd is None:
            return
        sys.setrecursionlimit(recursion)
        bound_cpu(REFERENCE_SECONDS)
        candidate, problem = marshal.loads(data)
        task = task if problem is None else marshal.loads(problem)
        task["candidate"] = candidate
        if "random" in sys.modules or (problem and b"random" in problem):
            import random  # here: few tests need it

            random.seed(0)  # the same verdict every time

        def phase(seconds: float, tell: bool = task["kind"] == "inputs") -> None:
            bound_cpu(2 * max(limits.cpu_seconds, REFERENCE_FACTOR * seconds) + 10)
            if tell:
                reports.send(marshal.dumps({"reference": seconds}))

        try:
            report = judge(task, Candidate(fd), phase)
        except BaseException as error:
            report = {"status": "failed", "reason": f"judging the answer: {type(error).__name__}"}
        os.close(fd)
        reports.send(marshal.dumps(report))


def bound_cpu(seconds: float) -> None:
    limit = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


class Run:
    """What is known of the candidate at hand."""

    def __init__(self, theirs: socket):
        self.theirs = theirs  # the candidate's end of its channel, until it is handed over
        self.started = False
        self.late = False
        self.cpu_seconds = 0.0
        self.deadline = time.monotonic() + 2 * REFERENCE_SECONDS
        self.report: dict[str, Any] | None = None
        self.outcome: dict[str, Any] | None = None


class Worker:
    def __init__(self, config: dict[str, Any]):
        self.caller_in, self.caller_out = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        self.config = config
        self.limits = Limits(**config["zygote"]["limits"])
        self.problems: dict[int, bytes] = {}
        self.jail: Jail | None = None
        self.judge: JudgeProcess | None = None

    def run(self) -> None:
        try:
            while (task := self.next_task()) is not None:
                self.reply(self.guarded(task))
        except CallerGone:
            pass
        finally:
            self.drop_judge()
            self.drop_jail()
            if self.config["folder"]:
                empty(self.config["folder"])

    def next_task(self) -> dict[str, Any] | None:
        head = read_exactly(self.caller_in, 8)
        data = read_exactly(self.caller_in, int.from_bytes(head, "big")) if head else None
        return None if data is None else marshal.loads(data)

    def reply(self, report: dict[str, Any]) -> None:
        data = marshal.dumps(report)
        try:
            write_all(self.caller_out, len(data).to_bytes(8, "big") + data)
        except OSError:
            raise CallerGone from None

    def guarded(self, message: dict[str, Any]) -> dict[str, Any]:
        if "refused" in message:
            return {"number": message["number"], "status": "unknown", "reason": message["refused"]}
        try:
            if message.get("problem") is not None:
                self.problems = {message["key"]: message["problem"]}  # the last one only: they come in order
            report = self.one(message)
        except CallerGone:
            raise
        except Exception as error:
            self.drop_judge()
            self.drop_jail()
            report = {"status": "unknown", "reason": f"the runner broke: {type(error).__name__}: {error}"}
        return {"number": message["number"], **report}

    def drop_judge(self) -> None:
        if self.judge:
            self.judge.end()
            self.judge = None

    def drop_jail(self) -> None:
        if self.jail:
            self.jail.close()
            self.jail = None
            for pid in descendants():  # without a pid namespace, what a candidate started may outlive its zygote
                if self.judge is None or pid != self.judge.pid:
                    kill(pid)

    def one(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.jail is None:
            if self.config["folder"]:
                renew(self.config["folder"])
            self.jail = Jail(self.config["command"], self.config["zygote"], self.config["environment"])
        if self.judge is None or self.judge.tasks >= JUDGE_TASKS:
            self.drop_judge()
            close = [self.caller_in, self.caller_out, self.jail.control.fileno()]
            self.judge = JudgeProcess(self.limits, close, self.config["packages"])
        ours, theirs = stream_pair()
        run = Run(theirs)
        if not message["reference first"]:  # there, the reference comes first and sets the candidate's limits
            self.start_candidate(run, 0.0)
        self.judge.give(message["key"], self.problems[message["key"]], message["candidate"], ours.fileno())
        ours.close()
        self.attend(run)
        theirs.close()
        if run.report is None:
            self.drop_judge()
        if run.started and not (run.outcome and run.outcome["clean"]):
            self.drop_jail()
        return self.weigh(run)

    def start_candidate(self, run: Run, reference_seconds: float) -> None:
        """Let the zygote fork; the clocks of the candidate start here."""
        assert self.jail is not None
        run.started = True
        run.cpu_seconds = max(self.limits.cpu_seconds, REFERENCE_FACTOR * reference_seconds)
        run.deadline = time.monotonic() + max(self.limits.wall_seconds, 2 * REFERENCE_FACTOR * reference_seconds)
        try:
            send_fd(self.jail.control, f"start {run.cpu_seconds}".encode(), run.theirs.fileno())
        except OSError:
            pass  # the end of its control socket is seen below
        run.theirs.close()

    def attend(self, run: Run) -> None:
        """Wait until both the judge's report and the zygote's outcome are in, or the wall clock says stop."""
        assert self.jail is not None and self.judge is not None
        control, results = self.jail.control.fileno(), self.judge.results
        poller = select.poll()
        poller.register(results.fd, select.POLLIN)
        poller.register(control, select.POLLIN)
        poller.register(self.caller_in, select.POLLHUP)
        judging, running = True, True
        while judging or running:
            left = max(run.deadline - time.monotonic(), 0)
            ready = {results.fd} if judging and results.pending() else {fd for fd, _ in poller.poll(left * 1000)}
            if self.caller_in in ready:
                raise CallerGone
            if not ready:
                run.late = True
                run.outcome = self.stop_candidate() if running and run.started else run.outcome
                return
            if judging and results.fd in ready:
                data = results.receive()
                message = marshal.loads(data) if data else None
                if message and "reference" in message:
                    if not run.started:
                        self.start_candidate(run, message["reference"])
                    continue
                run.report, judging = message, False
                poller.unregister(results.fd)
                if running:
                    run.outcome = self.stop_candidate() if run.started else None
                    running = False
            elif running and control in ready:
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
        if not data:
            return None
        why, status, cpu, clean = data.split()
        return {"why": why.decode(), "status": int(status), "cpu": float(cpu), "clean": clean == b"1"}

    def weigh(self, run: Run) -> dict[str, Any]:
        """One report out of what the judge said and how the candidate's process ended."""
        silent = {"status": "silent", "gone": True}
        report: dict[str, Any] = run.report if run.report and not run.late else silent
        report["cpu"] = run.outcome["cpu"] if run.outcome else 0.0
        if not run.started and report["status"] == "silent":
            return {**report, "status": "unknown", "reason": "the reference ran out of time"}
        return {**report, **self.blame(report, run)} if report.get("gone") else report

    def blame(self, report: dict[str, Any], run: Run) -> dict[str, Any]:
        """The candidate's process is gone: why?"""
        outcome, limits = run.outcome, self.limits
        why = outcome["why"] if outcome else "jail"
        status = outcome["status"] if outcome else 0
        number = os.WTERMSIG(status) if why == "exit" and os.WIFSIGNALED(status) else 0
        if why == "cpu" or number == signal.SIGXCPU:
            return {"status": "timeout", "reason": f"more than {run.cpu_seconds:g} s of CPU time"}
        if run.late:
            return {"status": "timeout", "reason": f"more than {limits.wall_seconds:g} s of wall-clock time"}
        if why == "jail":
            return {"status": "error", "reason": "the candidate brought its jail down"}
        if why == "processes":
            return {"status": "error", "reason": f"more than {limits.processes} processes"}
        if why == "memory":
            return {"status": "error", "reason": f"more than {limits.memory_mb} MB of memory"}
        if report["status"] == "silent":
            return {"status": "timeout", "reason": "judging the answers took too long"}
        if number:
            return {"status": "error", "reason": f"the candidate was ended by {signal.Signals(number).name}"}
        if why == "exit" and report["reason"].endswith("process ended"):
            return {"reason": f"the candidate's process ended with exit code {os.WEXITSTATUS(status)}"}
        return {}


def read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def main(config: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller hears Ctrl-C and closes the pipe
    set_undumpable()
    set_subreaper()
    Worker(config).run()
