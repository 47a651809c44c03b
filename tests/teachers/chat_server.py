"""An OpenAI-compatible chat server on loopback, a process of its own, with faults that can be asked for.

    python chat_server.py --answers answers.json --log served.jsonl --port-file port [--faults 429,500]

Answers are looked up by the function name in the prompt. The first attempt at a prompt meets one of the faults, by
turns; later attempts succeed. Every request is logged when it arrives and again when its reply has been sent.
"""

import argparse
import asyncio
import hashlib
import json
import re
import time
from pathlib import Path

ENTRY_POINT = re.compile(r"must define `(\w+)`")


def request_key(messages, seed):
    """What tells one request of a client from another."""
    return hashlib.sha256(json.dumps([messages, seed], sort_keys=True).encode()).hexdigest()


class Server:
    def __init__(self, options):
        self.answers = json.loads(options.answers.read_text())
        self.faults = [fault for fault in options.faults.split(",") if fault]
        self.latency, self.capacity, self.usage = options.latency, options.capacity, options.usage == "told"
        self.log = options.log.open("a", buffering=1)
        self.attempts = {}
        self.turn = 0
        self.active = self.peak = 0

    async def serve(self, reader, writer):
        try:
            while (head := await read_head(reader)) is not None:
                body = json.loads(await reader.readexactly(head["length"]))
                if not await self.answer(head["path"], body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path, body, writer):
        """One request; False ends the connection."""
        key = request_key(body["messages"], body.get("seed"))
        self.attempts[key] = self.attempts.get(key, 0) + 1
        self.write_log("arrived", key, model=body.get("model"))
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            if self.capacity and self.active > self.capacity:
                return await send(writer, 503, {"error": "full"}, {"Retry-After": "0.05"})
            await asyncio.sleep(self.latency)
            fault = self.fault(key)
            if fault is not None:
                return await self.misbehave(fault, body, writer)
            await send(writer, 200, self.completion(body))
            self.write_log("sent", key)
            return True
        finally:
            self.active -= 1

    def fault(self, key):
        if not self.faults or self.attempts[key] > 1:
            return "always" if "always" in self.faults else None
        self.turn += 1
        return self.faults[self.turn % len(self.faults)]

    async def misbehave(self, fault, body, writer):
        if fault in ("429", "429-date"):
            wait = "0.1" if fault == "429" else "Wed, 21 Oct 2015 07:28:00 GMT"
            return await send(writer, 429, {"error": "slow down"}, {"Retry-After": wait})
        if fault == "500":
            return await send(writer, 500, {"error": "oops"})
        if fault == "401":
            return await send(writer, 401, {"error": "who are you"})
        if fault in ("400", "always"):
            return await send(writer, 400, {"error": "not this prompt"})
        if fault == "empty":
            return await send(writer, 200, {"id": "x", "created": 0, "model": "m", "choices": [], "usage": None})
        if fault == "blank":
            return await send(writer, 200, self.completion(body, content=" \n"))
        if fault == "router":
            return await send(writer, 200, {"error": {"code": 429, "message": "provider is full"}})
        if fault == "malformed":
            return await send_raw(writer, 200, b'{"choices": [{"mess')
        if fault == "other":
            return await send(writer, 200, ["not", "a", "completion"])
        assert fault == "disconnect", fault
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{")
        await writer.drain()
        return False

    def completion(self, body, content=None):
        prompt = body["messages"][-1]["content"]
        named = ENTRY_POINT.search(prompt)
        shown = next((name for name in self.answers if f"def {name}(" in prompt), "")  # the backward recipe names none
        answer = self.answers.get(named.group(1) if named else shown, {"content": "I cannot help with that."})
        if "Solution:" in prompt and "plan" in answer:
            answer = {"content": answer["plan"], "finish_reason": answer.get("plan_finish_reason", "stop")}
        message = {"role": "assistant", "content": answer["content"] if content is None else content}
        message |= {name: answer[name] for name in ("reasoning_content", "reasoning") if name in answer}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        choice = {"index": 0, "message": message, "finish_reason": answer.get("finish_reason", "stop")}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.get("model", ""),
            "system_fingerprint": "",
            "choices": [choice],
            "usage": usage if self.usage else None,
        }

    def write_log(self, event, key, **more):
        record = {"event": event, "key": key, "active": self.active, "time": time.monotonic(), **more}
        self.log.write(json.dumps(record) + "\n")


async def read_head(reader):
    first = await reader.readline()
    if not first:
        return None
    length = 0
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return {"path": first.split()[1].decode(), "length": length}


async def send(writer, status, content, headers=None):
    return await send_raw(writer, status, json.dumps(content).encode(), headers)


async def send_raw(writer, status, content, headers=None):
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()
    return True


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--faults", default="")
    parser.add_argument("--usage", choices=("told", "none"), default="told")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--capacity", type=int, default=0)
    options = parser.parse_args()
    server = await asyncio.start_server(Server(options).serve, "127.0.0.1", 0)
    partial = options.port_file.with_suffix(".partial")
    partial.write_text(str(server.sockets[0].getsockname()[1]))
    partial.rename(options.port_file)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
