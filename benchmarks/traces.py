"""Trace generation against a loopback server that answers after 50 ms: how much of its capacity is used.

    python benchmarks/traces.py [--requests 1500] [--concurrency 64]

The server (tests/teachers/chat_server.py) is a process of its own. Its capacity is measured in the same run by a bare
asyncio client that does nothing but send and read; ours also parses, keeps its budget and writes a journal (fsync).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.pop("HF_HUB_OFFLINE", None)  # it forbids loopback, too

ROOT = Path(__file__).resolve().parents[1]


async def bare(port: int, bodies: list[bytes], concurrency: int) -> float:
    """Requests a second of a client that only sends and reads."""
    queued = iter(bodies)

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in queued:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return len(bodies) / (time.perf_counter() - started)


def ours(url: str, problems: list, concurrency: int, out: Path) -> tuple[float, float]:
    """Replies a second and CPU milliseconds a reply of our teacher; nothing is judged."""
    from hf_structdistill.teachers import Journal
    from hf_structdistill.teachers.collect import _gather
    from hf_structdistill.teachers.inference import InferenceTeacher

    teacher = InferenceTeacher("m", base_url=url, token="none", concurrency=concurrency, max_tokens=512)
    import hf_structdistill.teachers.transport  # noqa: F401  (loading it is not what is measured)

    requests = [request for problem in problems for request in teacher.requests(problem)]
    by_id = {problem.id: problem for problem in problems}
    with Journal(out / "journal.jsonl") as journal:
        started, busy = time.perf_counter(), time.process_time()
        refused = _gather([(teacher, requests)], by_id, journal, lambda *progress: None, "replies", list)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    assert not refused, refused[0]
    return len(requests) / seconds, 1000 * busy / len(requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    from hf_structdistill.problems import load_problems

    problems = [replace(p, tests=None) for p in load_problems("listops", split="train", size=options.requests)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "answers.json").write_text("{}")
        command = [sys.executable, ROOT / "tests/teachers/chat_server.py", "--latency", str(options.latency)]
        for name in ("answers.json", "log", "port"):
            option = {"answers.json": "--answers", "log": "--log", "port": "--port-file"}[name]
            command += [option, str(Path(folder) / name)]
        server = subprocess.Popen(command)
        try:
            while not (Path(folder) / "port").exists():
                time.sleep(0.01)
            port = int((Path(folder) / "port").read_text())
            body = json.dumps({"messages": [{"role": "user", "content": problems[0].prompt}], "seed": 0}).encode()
            capacity = asyncio.run(bare(port, [body] * options.requests, options.concurrency))
            rate, busy = ours(f"http://127.0.0.1:{port}/v1", problems, options.concurrency, Path(folder))
        finally:
            server.kill()
            server.wait()
    ideal = options.concurrency / options.latency
    print(f"ideal (concurrency / latency)   {ideal:8.0f} requests/s")
    print(f"bare asyncio client             {capacity:8.0f} requests/s")
    print(f"InferenceTeacher with journal   {rate:8.0f} requests/s   {rate / capacity:.0%} of the bare client")
    print(
        f"CPU time of ours                {busy:8.2f} ms/request  (one process: at most {1000 / busy:.0f} requests/s)"
    )


if __name__ == "__main__":
    main()
