"""A teacher behind an endpoint: Inference Providers, TGI, vLLM, anything that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..model_names import served_name
from ..problems import Problem
from ..sandbox.verify import available_cores
from .asking import AskingProcess, AskingThread
from .base import Answer, Reply, Request
from .limits import AdaptiveLimit, Budget
from .message import read_message
from .recipes import RecipeBook
from .trace import Trace

if TYPE_CHECKING:
    from huggingface_hub import AsyncInferenceClient

    from .transport import PooledInferenceClient

OVERLOADED = (429, 503)
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 120.0  # seconds, also where an endpoint asks for more
GROUP_SECONDS = 0.05  # replies of that long share one write to the disk
PROCESS_CONCURRENCY = 32  # requests in flight from which another process pays
PROCESS_REQUESTS = 1024  # for each process: starting one costs as much CPU time as half of them
LONGEST_REASON = 400  # characters of an endpoint's complaint
TEMPLATE_TOKENS = 128  # the most that a chat template adds: some bring a system prompt of their own, with the date
MESSAGE_TOKENS = 16  # and for each message: its role, its end


@dataclass(frozen=True)
class _Trouble:
    """Why a call gave no reply: whether to try again, whether the endpoint is overloaded, how long it asks to wait."""

    reason: str
    again: bool
    overloaded: bool = False
    retry_after: float | None = None
    fatal: bool = False


class InferenceTeacher:
    """Asks a chat model through huggingface_hub's AsyncInferenceClient, many requests at a time.

    Args:
        model: Hub id, or the name the endpoint knows the model by.
        label: how requests and cards name it; by default the model, or its last part where it is a path of the server.
        base_url: an OpenAI-compatible endpoint, e.g. "http://localhost:8000/v1"; Inference Providers if not given.
        revision: commit of the model, where known; part of each request's key.
        recipes: out of "forward", "backward" and "repair"; `recipe_folder` may override their templates.
        temperatures: one sample for each. Sample i is asked with seed `seed + i`.
        max_tokens: of a completion.
        concurrency: requests in flight at most; lowered while the endpoint says that it is overloaded.
        retries: how often a request is sent again after a passing failure, with waits that double from `backoff`
            seconds up to two minutes, or as long as the endpoint's Retry-After says.
        timeout: seconds for one call.
        budget: stops before it would be exceeded; what is then not asked is told as refused.
        keep_empty: an empty reply is an answer, as in an evaluation; otherwise it is a passing failure.
        processes: that share the asking; by default one for each 32 requests in flight, up to the cores there are,
            once there are a thousand requests for each. Under a limited budget it is one.

    Raises:
        InputError: unknown recipe, an address without http:// or https://; on asking: no token, no such provider, the
            endpoint does not know the model, or refuses the token.
    """

    def __init__(
        self,
        model: str,
        *,
        label: str | None = None,
        base_url: str | None = None,
        provider: Any = None,
        token: str | None = None,
        revision: str | None = None,
        recipes: Sequence[str] = ("forward",),
        recipe_folder: Path | None = None,
        temperatures: Sequence[float] = (0.2,),
        top_p: float | None = None,
        max_tokens: int = 2048,
        seed: int = 0,
        concurrency: int = 32,
        retries: int = 6,
        backoff: float = 1.0,
        timeout: float = 600.0,
        budget: Budget | None = None,
        keep_empty: bool = False,
        processes: int | None = None,
    ) -> None:
        if base_url is not None:
            check_address(base_url, "base_url")
        self.model, self.base_url, self.provider, self._token = model, base_url, provider, token
        label = label or served_name(model)
        self.book = RecipeBook(
            label, revision, tuple(recipes), recipe_folder, tuple(temperatures), top_p, max_tokens, seed
        )
        self.concurrency, self.retries, self.backoff, self.timeout = concurrency, retries, backoff, timeout
        self.budget = budget or Budget()
        self.keep_empty = keep_empty
        self.processes = processes

    def requests(self, problem: Problem) -> Sequence[Request]:
        return self.book.requests(problem)

    def follow_up(self, problem: Problem, traces: Sequence[Trace]) -> Sequence[Request]:
        return self.book.follow_up(problem, traces)

    def resume(self, answered: Iterable[Answer]) -> None:
        """Count what earlier runs spent on this teacher, with whatever settings."""
        for request, reply in answered:
            if request.teacher == self.book.teacher:
                self._spend_once(request, reply)

    def most_tokens(self, request: Request) -> tuple[int, int]:
        """The most prompt and completion tokens a request can use.

        A tokenizer over bytes (or with bytes to fall back on) makes at most as many tokens as there are bytes.
        """
        size = sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in request.messages)
        return size + TEMPLATE_TOKENS, request.sampling.get("max_tokens", self.book.max_tokens)

    def _spend_once(self, request: Request, reply: Reply) -> None:
        if request.key not in self.budget.counted:
            self._spend(request, reply)

    def _spend(self, request: Request, reply: Reply) -> None:
        self.budget.counted.add(request.key)
        self.budget.spend(reply, self.most_tokens(request))

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[list[Answer]]:
        """Answer as replies come in. Event loops live in a thread, or in processes, that end with the iterator.

        A KeyboardInterrupt is raised again after a last list of what has arrived (see `base.last_answers`).
        """
        waiting = [request for request, _ in requests]
        if not waiting:
            return
        arrived: deque[Answer] = deque()
        parts = self._processes(len(waiting))
        if parts == 1:
            asking = [AskingThread(self, waiting, arrived.append)]
        else:
            asking = [AskingProcess(self._part(parts), waiting[n::parts], arrived.append) for n in range(parts)]
        try:
            for one in asking:
                one.start()
            yield from self._groups(asking, arrived, spend=parts > 1)
        except KeyboardInterrupt:  # what has arrived is paid for
            for one in asking:
                one.end()
            if arrived:
                yield list(arrived)
            raise
        finally:
            for one in asking:
                one.end()

    def _groups(self, asking: list[AskingThread], arrived: deque[Answer], *, spend: bool) -> Iterator[list[Answer]]:
        over: list[AskingThread] = []
        while len(over) < len(asking):
            next(one for one in asking if one not in over).over.wait(GROUP_SECONDS)
            over = [one for one in asking if one.over.is_set()]  # before reading: nothing more comes from these
            if batch := [arrived[n] for n in range(len(arrived))]:
                if spend:
                    for request, reply in batch:
                        if reply.error is None:
                            self._spend_once(request, reply)
                yield batch
                for _ in batch:  # only now: whoever reads may be interrupted
                    arrived.popleft()
            for one in over:
                if one.error is not None:
                    raise one.error

    def _processes(self, number: int) -> int:
        """How many processes ask; one where the budget has a limit, which one process keeps."""
        if self.budget.max_tokens is not None or self.budget.max_cost is not None:
            return 1
        if self.processes is not None:
            return max(1, min(self.processes, self.concurrency, number))
        return max(1, min(available_cores(), self.concurrency // PROCESS_CONCURRENCY, number // PROCESS_REQUESTS))

    def _part(self, parts: int) -> InferenceTeacher:
        """A teacher for one of `parts` processes."""
        part = copy.copy(self)
        part.concurrency, part.processes, part.budget = -(-self.concurrency // parts), 1, Budget()
        return part

    async def ask_all(
        self, waiting: Sequence[Request], arrived: Callable[[Answer], None], stop: threading.Event
    ) -> None:
        """Hand every answer to `arrived` as it comes in; ends early once `stop` is set."""
        from .transport import PooledInferenceClient

        where = {"base_url": self.base_url} if self.base_url else {"model": self.model, "provider": self.provider}
        limit = AdaptiveLimit(self.concurrency)
        queued = iter(waiting)
        async with PooledInferenceClient(token=self._token, timeout=self.timeout, **where) as client:

            async def work() -> None:
                for request in queued:  # shared: each worker takes the next one
                    if stop.is_set():
                        return
                    arrived((request, await self._answer(client, limit, request)))

            workers = [asyncio.create_task(work()) for _ in range(min(self.concurrency, len(waiting)))]
            done = asyncio.create_task(asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION))
            watch = asyncio.create_task(_until(stop))
            try:
                await asyncio.wait({done, watch}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                broken = [w for w in workers if w.done() and not w.cancelled() and w.exception() is not None]
                for task in (*workers, done, watch):
                    task.cancel()
                await asyncio.gather(*workers, done, watch, return_exceptions=True)
            if broken:
                broken[0].result()  # raises

    async def _answer(self, client: PooledInferenceClient, limit: AdaptiveLimit, request: Request) -> Reply:
        most = self.most_tokens(request)
        trouble = _Trouble("never sent", again=True)
        for attempt in range(self.retries + 1):
            started = await limit.acquire()
            if not await self._held(most):
                limit.release(started, overloaded=False)
                return Reply("", error=f"not asked: the budget is used up ({self.budget.tokens} tokens spent)")
            overloaded, retry_after = False, None
            try:
                reply, fault = await self._call(client, request)
                self._spend(request, reply)  # in any case
                if fault is None:
                    return reply
                trouble = _Trouble(fault, again=True)
            except Exception as error:
                trouble = _trouble(error, prepared=client.prepared)
                overloaded, retry_after = trouble.overloaded, trouble.retry_after
            finally:
                self.budget.free(*most)
                limit.release(started, overloaded=overloaded, retry_after=retry_after)
            if trouble.fatal:
                raise InputError(trouble.reason)
            if not trouble.again:
                break
            if attempt < self.retries:
                await asyncio.sleep(self._wait(attempt, trouble.retry_after))
        return Reply("", error=trouble.reason)

    async def _held(self, most: tuple[int, int]) -> bool:
        """Set the cost aside; waits while requests in flight may still use less than was set aside for them."""
        while not self.budget.hold(*most):
            if not self.budget.any_held:
                return False
            await asyncio.sleep(0.02)
        return True

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return retry_after + random.uniform(0, 0.1 * self.backoff)
        return min(LONGEST_WAIT, self.backoff * 2**attempt) * random.uniform(0.5, 1.0)

    async def _call(self, client: AsyncInferenceClient, request: Request) -> tuple[Reply, str | None]:
        """What came back, and why it is no reply: a blank one is none, unless those are kept."""
        sampling = dict(request.sampling)
        output = await client.chat_completion(
            [dict(message) for message in request.messages],
            # an endpoint of one's own needs the model's name in the body
            **({"extra_body": {"model": self.model}} if self.base_url else {}),
            **sampling,
        )
        return _read(output, self.keep_empty)


def _read(output: Any, keep_empty: bool) -> tuple[Reply, str | None]:
    usage = output.usage
    counts = (_count(usage.prompt_tokens), _count(usage.completion_tokens)) if usage else (None, None)
    if not output.choices:
        if complaint := output.get("error"):
            raise _Complaint(complaint)
        return Reply("", None, *counts), "a reply without content"
    message = output.choices[0].message
    try:
        text, thoughts = read_message(message)
    except ValueError as error:  # it is paid for
        return Reply("", None, *counts), f"a reply in another form: {error}"
    kept = keep_empty and message is not None and message.content is not None
    says_something = kept or text.strip() or (thoughts or "").strip()
    reply = Reply(text, thoughts, *counts, output.choices[0].finish_reason)
    return reply, None if says_something else "a reply without content"


class _Complaint(Exception):
    """An error in the body of an answer with status 200: a router's, where a provider behind it failed."""

    def __init__(self, said: Any) -> None:
        code = said.get("code") if isinstance(said, dict) else None
        self.status = code if isinstance(code, int) else None
        text = said.get("message", said) if isinstance(said, dict) else said
        super().__init__(f"{self.status}: {text}" if self.status else text)


def _count(tokens: Any) -> int | None:
    return tokens if isinstance(tokens, int) else None


def check_address(url: str, option: str) -> None:
    """Refuse an address without a scheme, which the client would take for the name of a model."""
    if not url.startswith(("http://", "https://")):
        raise InputError(
            f"Expected {option} to begin with http:// or https://, e.g. http://localhost:8000/v1; found '{url}'."
        )


async def _until(stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.1)


def _trouble(error: Exception, *, prepared: bool) -> _Trouble:
    """What an exception of a call means. Exceptions that no endpoint can cause are raised again.

    Args:
        prepared: the client has prepared a request, this or another one: it has nothing against its settings.
    """
    from huggingface_hub.errors import HTTPError

    if isinstance(error, _Complaint):
        said = " ".join(str(error).split())[:LONGEST_REASON]
        return _Trouble(said, error.status in (None, *PASSING), error.status in OVERLOADED)
    response = getattr(error, "response", None)
    if response is not None:
        return _bad_status(response.status_code, response.headers.get("Retry-After"), str(error))
    if type(error).__name__ == "OfflineModeIsEnabled":
        return _Trouble("HF_HUB_OFFLINE is set, which forbids asking other machines; unset it.", False, fatal=True)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return _Trouble("malformed JSON from the endpoint", again=True)
    if isinstance(error, (HTTPError, OSError, TimeoutError)):
        return _Trouble(f"{type(error).__name__}: {error}".strip(": "), again=True)
    if isinstance(error, ValueError) and not prepared:
        return _Trouble(f"The model cannot be asked: {' '.join(str(error).split())}", again=False, fatal=True)
    if isinstance(error, (ValueError, TypeError, KeyError, AttributeError)) and prepared:
        # what the client's parser makes of a reply in another form
        return _Trouble(f"a reply in another form: {error}", again=True)
    raise error


def _bad_status(status: int, retry_after: str | None, text: str) -> _Trouble:
    said = f"{status}: {' '.join(text.split())}"[:LONGEST_REASON]
    if status in (401, 403):
        return _Trouble(
            f"The endpoint refused the token ({status}); run `hf auth login`, or set HF_TOKEN.", False, fatal=True
        )
    if status == 404:
        return _Trouble(f"The endpoint does not know this model or path ({said})", False, fatal=True)
    return _Trouble(said, status in PASSING, status in OVERLOADED, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After as seconds: a number, or an HTTP date."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        import datetime

        try:
            when = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        if when.tzinfo is None:  # "-0000", or no zone at all: HTTP's dates are in UTC
            when = when.replace(tzinfo=datetime.timezone.utc)
        seconds = (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)
