"""Who runs the event loop of an InferenceTeacher: a thread, or, for many requests at a time, several processes.

AsyncInferenceClient takes most of a millisecond of CPU time a request, so that one event loop ends at about a thousand
replies a second. A process asks about a part of the requests and hands the replies over; the journal and the budget
stay with the process that started it.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..errors import InputError
from .base import Answer, Request, last_answers

if TYPE_CHECKING:
    from .inference import InferenceTeacher

Arrived = Callable[[Answer], None]

LAST_SECONDS = 5.0  # that a process has to hand over what it has


class AskingThread(threading.Thread):
    """An event loop of its own for the requests; the thread that reads keeps the journal.

    Attributes:
        over: set when nothing more arrives; `error` then says what ended it early.
    """

    def __init__(self, teacher: InferenceTeacher, waiting: Sequence[Request], arrived: Arrived) -> None:
        super().__init__(daemon=True)
        self._teacher, self._waiting, self._arrived = teacher, waiting, arrived
        self._stop_asking = threading.Event()
        self.over = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.ask()
        except BaseException as error:  # raised again by the thread that reads
            self.error = error
        finally:
            self.over.set()

    def ask(self) -> None:
        asyncio.run(self._teacher.ask_all(self._waiting, self._arrived, self._stop_asking))

    def end(self) -> None:
        """Stop asking; what is on its way is given up, what has come in is handed over."""
        self._stop_asking.set()
        if self.ident is not None:  # it was started
            self.join(timeout=10)


class AskingProcess(AskingThread):
    """The same in a process of its own, which ends with this one, however this one ends."""

    def __init__(self, teacher: InferenceTeacher, waiting: Sequence[Request], arrived: Arrived) -> None:
        super().__init__(teacher, waiting, arrived)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C reaches us, and we end it
        )

    def ask(self) -> None:
        assert self._process.stdin and self._process.stdout
        try:
            pickle.dump((self._teacher, list(self._waiting)), self._process.stdin)
            self._process.stdin.flush()  # and stays open: at its end the process ends
            while (message := pickle.load(self._process.stdout)) is not None:
                if isinstance(message, InputError):
                    raise message
                for number, reply in message:
                    self._arrived((self._waiting[number], reply))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            if not self._stop_asking.is_set():
                raise InputError(
                    f"A process that asked the endpoint ended early (exit code {self._process.wait()}); "
                    "run the same command again to go on."
                ) from None

    def end(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._stop_asking.set()
        self._close(self._process.stdin)  # it hands over what it has, and ends
        try:
            self._process.wait(timeout=LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.ident is not None:
            self.join(timeout=10)
        self._close(self._process.stdout)

    @staticmethod
    def _close(pipe: IO[bytes]) -> None:
        try:
            pipe.close()
        except BrokenPipeError:
            pass  # it was ended while the requests were on their way to it


def main() -> None:
    """The other side of `AskingProcess`: a teacher and requests come in, lists of (number, reply) go out."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    try:
        teacher, waiting = pickle.load(sys.stdin.buffer)
    except EOFError:
        return  # it was interrupted before it said what to ask
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where we were started without one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    numbers = {request.key: number for number, request in enumerate(waiting)}

    def send(message: Any) -> None:
        out.write(pickle.dumps(message))  # as a whole: an interruption comes before or after it
        out.flush()

    def send_answers(batch: Sequence[Answer]) -> None:
        send([(numbers[request.key], reply) for request, reply in batch])

    answers = teacher.replies((request, None) for request in waiting)
    try:
        for batch in answers:
            send_answers(batch)
        send(None)
    except KeyboardInterrupt as interrupt:
        with contextlib.suppress(BrokenPipeError):  # nobody there to read
            send_answers(last_answers(answers, interrupt))
            send(None)
    except InputError as error:
        send(error)


def _end_with_parent() -> None:
    sys.stdin.buffer.read(1)  # nothing comes: it returns at the end of the pipe
    _thread.interrupt_main()
    time.sleep(LAST_SECONDS)
    os._exit(1)
