"""The loopback Hub as a process of its own, and clients as users run them: in processes of their own, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

WRITE, READ, OTHER = ("hf_" + letter * 34 for letter in "wro")


class LoopbackHub:
    """A handle on the server process."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home

    def environment(self, token: str | None = WRITE, **extra: str) -> dict[str, str]:
        """Environment of a client: this Hub, a cache of its own, nobody else's token."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        env |= {"HF_ENDPOINT": self.url, "HF_HOME": str(self.home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        return env | ({"HF_TOKEN": token} if token else {}) | extra

    def publish(self, *args: Any, token: str | None = WRITE, **extra: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "publish", *map(str, args)]
        env = self.environment(token, **extra)
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)

    def python(self, code: str, token: str | None = WRITE, **extra: str) -> str:
        """Run `code` as a client; its output."""
        env = self.environment(token, **extra)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def fail(self, method: str, path: str, kind: str = "status", **facts: Any) -> None:
        """Let the next request that matches fail; see loopback/."""
        self._post("fail", {"method": method, "path": path, "kind": kind, **facts})

    def commit(self, kind: str, id: str, files: dict[str, str]) -> None:
        """A commit by somebody else."""
        self._post("commit", {"kind": kind, "id": id, "files": files})

    def log(self) -> list[dict[str, Any]]:
        """The requests since the last call."""
        return self._get("log")

    def pending(self) -> list[dict[str, Any]]:
        """Failures that no request has met yet."""
        return self._get("failures")

    def repo(self, kind: str, id: str) -> dict[str, Any]:
        """What is stored."""
        return self._get("repos")[f"{kind}:{id}"]

    def read(self, kind: str, id: str, path: str) -> str:
        """A file of the head, as its owner sees it."""
        prefix = "" if kind == "model" else f"{kind}s/"
        request = urllib.request.Request(
            f"{self.url}/{prefix}{id}/resolve/main/{path}", headers={"Authorization": f"Bearer {WRITE}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def _get(self, name: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/_test/{name}", timeout=30) as answer:
            return json.load(answer)

    def _post(self, name: str, content: Any) -> None:
        urllib.request.urlopen(f"{self.url}/_test/{name}", json.dumps(content).encode(), timeout=30).close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """The server, for the whole session; tests use repositories of their own."""
    command = [sys.executable, str(Path(__file__).with_name("loopback"))]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield LoopbackHub(server.stdout.readline().strip(), tmp_path_factory.mktemp("hf_home"))
    server.communicate("", timeout=10)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A tiny base model with its tokenizer."""
    from ..training import tiny

    folder = tmp_path_factory.mktemp("models") / "tiny-base"
    tiny.student().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def traces(tmp_path_factory) -> Path:
    """A folder of traces, written as `structdistill traces` does."""
    import os

    from hf_structdistill.hub.datasets import write_trace_dataset
    from hf_structdistill.problems import load_problems
    from hf_structdistill.teachers import ScriptedTeacher, collect_traces, select_examples

    os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")
    out = tmp_path_factory.mktemp("data") / "traces"
    problems = load_problems("seed", split="train", limit=3) + load_problems("listops", split="train", limit=3)
    collected = collect_traces(problems, [ScriptedTeacher()], out, workers=1)
    write_trace_dataset(out, collected, select_examples(collected.traces, collected.problems))
    return out
