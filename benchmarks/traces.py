"""Trace generation against a loopback server that answers after a fixed time: how much of its capacity is used.

    python -m benchmarks.traces [--latency 0.05 0.5] [--concurrency 64] [--rounds 3] [--json rows.json]

The server is a process of its own that does next to nothing. What it can give is measured by a bare asyncio client
that only sends and reads; what huggingface_hub allows, by a bare AsyncInferenceClient as it comes. Ours builds on that
client, and also renders its prompts, keeps its limits and its budget and writes a journal (fsync). The three take
turns; the ratios are medians over the rounds. Nothing is judged here: no sandbox competes for the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.pop("HF_HUB_OFFLINE", None)  # it forbids loopback, too

SECONDS = 8.0  # of a turn, if the server's capacity is reached: processes take half a second to start


class Answer(asyncio.Protocol):
    """Answers every request of a connection with the same completion, some time later."""

    def __init__(self, latency: float) -> None:
        message = {"role": "assistant", "content": "1. Add one.\n\n```python\ndef f(n):\n    return n + 1\n```\n"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 200, "completion_tokens": 40, "total_tokens": 240}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": ""}
        body = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        lines = (b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body))
        self._reply = b"\r\n".join((*lines, b"", b"")) + body
        self._latency, self._buffer = latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().split(b"content-length:")[1].split()[0]):
            self._buffer = b""
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, self._reply)


async def serve(port_file: Path, latency: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Answer(latency), "127.0.0.1", 0)
    partial = port_file.with_suffix(".partial")
    partial.write_text(str(server.sockets[0].getsockname()[1]))
    partial.rename(port_file)
    await server.serve_forever()


async def in_flight(number: int, concurrency: int, connect: Callable, call: Callable) -> None:
    """Make `number` calls, `concurrency` at a time."""
    queued = iter(range(number))

    async def work() -> None:
        connection = await connect()
        for _ in queued:
            await call(connection)

    await asyncio.gather(*(work() for _ in range(concurrency)))


def raw(port: int, prompts: Sequence[str], concurrency: int) -> None:
    """Sends and reads."""
    body = json.dumps({"messages": [{"role": "user", "content": prompts[0]}], "seed": 0}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def call(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        reader, writer = connection
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))

    asyncio.run(in_flight(len(prompts), concurrency, lambda: asyncio.open_connection("127.0.0.1", port), call))


def plain(port: int, prompts: Sequence[str], concurrency: int) -> None:
    """huggingface_hub's AsyncInferenceClient, and nothing around it."""
    from huggingface_hub import AsyncInferenceClient

    async def run() -> None:
        async with AsyncInferenceClient(base_url=f"http://127.0.0.1:{port}/v1", token="none") as client:

            async def connect() -> AsyncInferenceClient:
                return client

            async def call(client: AsyncInferenceClient) -> None:
                messages = [{"role": "user", "content": prompts[0]}]
                await client.chat_completion(messages, temperature=0.2, max_tokens=512, seed=0)

            await in_flight(len(prompts), concurrency, connect, call)

    asyncio.run(run())


def ours(port: int, problems: Sequence, concurrency: int) -> None:
    """InferenceTeacher, every reply in a journal on disk."""
    from hf_structdistill.teachers import Journal
    from hf_structdistill.teachers.collect import _gather
    from hf_structdistill.teachers.inference import InferenceTeacher

    url = f"http://127.0.0.1:{port}/v1"
    teacher = InferenceTeacher("m", base_url=url, token="none", concurrency=concurrency, max_tokens=512)
    requests = [request for problem in problems for request in teacher.requests(problem)]
    by_id = {problem.id: problem for problem in problems}
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
        refused = _gather([(teacher, requests)], by_id, journal, lambda *progress: None, "replies", list)
    assert not refused, refused[0]


def turn(client: Callable, port: int, asked: Sequence, concurrency: int) -> tuple[float, float]:
    """Requests a second, and milliseconds of CPU time a request."""
    started, busy = time.perf_counter(), cpu_seconds()
    client(port, asked, concurrency)
    seconds, busy = time.perf_counter() - started, cpu_seconds() - busy
    return len(asked) / seconds, 1000 * busy / len(asked)


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(latency: float, concurrency: int, rounds: int) -> list[dict]:
    """All clients by turns; prints rates, returns rows for the table of docs/benchmarks.md."""
    from hf_structdistill.problems import load_problems

    number = int(max(10 * concurrency, SECONDS * concurrency / latency))
    problems = [replace(p, tests=None) for p in load_problems("listops", split="train", size=number, limit=number)]
    prompts = [problem.prompt for problem in problems]
    clients: dict[str, tuple[Callable, Sequence]] = {
        "bare asyncio client": (raw, prompts),
        "bare AsyncInferenceClient": (plain, prompts),
        "InferenceTeacher": (ours, problems),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        command = [sys.executable, __file__, "--serve", str(port_file), "--latency", str(latency)]
        server = subprocess.Popen(command)
        try:
            while not port_file.exists():
                time.sleep(0.01)
            port = int(port_file.read_text())
            for client, asked in clients.values():
                client(port, asked[: 2 * concurrency], concurrency)  # imports and caches
            for _ in range(rounds):
                for name, (client, asked) in clients.items():
                    found[name].append(turn(client, port, asked, concurrency))
        finally:
            server.kill()
            server.wait()
    return report(found, latency, concurrency)


def report(found: dict[str, list[tuple[float, float]]], latency: float, concurrency: int) -> list[dict]:
    print(f"{concurrency} in flight, {latency * 1000:.0f} ms: at most {concurrency / latency:.0f} requests/s")
    for name, turns in found.items():
        rate, busy = (statistics.median(values) for values in zip(*turns, strict=True))
        print(f"  {name:27} {rate:7.0f} requests/s   {busy:5.2f} ms CPU/request")
    *peers, mine = found
    rows = []
    for peer in peers:
        ratio = statistics.median(a[0] / b[0] for a, b in zip(found[mine], found[peer], strict=True))
        rows.append(
            {
                "what": f"requests a second, {concurrency} in flight, {latency * 1000:.0f} ms latency",
                "peer": peer,
                "aim": "0.95x" if peer == peers[0] else None,
                "ratio": ratio,
            }
        )
        print(f"  {ratio:.2f} of the {peer}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 0.5], help="seconds")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--serve", type=Path, metavar="PORT_FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.latency[0]))
        return
    rows = [row for latency in options.latency for row in measure(latency, options.concurrency, options.rounds)]
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}), encoding="utf-8")


if __name__ == "__main__":
    main()
