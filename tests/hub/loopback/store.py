"""What the loopback Hub knows: repositories with their revisions, large objects, requests and failures to come."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from xet_store import XetStore

TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass(frozen=True)
class File:
    """One file of a revision."""

    content: bytes
    lfs: bool

    @property
    def blob_id(self) -> str:
        content = self.content
        if self.lfs:
            content = f"oid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id


@dataclass
class Commit:
    """One revision: all its files."""

    files: dict[str, File]
    title: str
    oid: str


@dataclass
class Repo:
    """A repository with one branch."""

    id: str
    type: str
    private: bool
    sdk: str | None = None
    commits: list[Commit] = field(default_factory=list)

    def commit(self, files: dict[str, File], title: str) -> Commit:
        number = len(self.commits)
        oid = hashlib.sha1(f"{self.type} {self.id} {number} {title} {time.time_ns()}".encode()).hexdigest()
        self.commits.append(Commit(files, title, oid))
        return self.commits[-1]

    def at(self, revision: str) -> Commit:
        if revision == "main":
            return self.commits[-1]
        for commit in self.commits:
            if commit.oid == revision:
                return commit
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")


class Refused(Exception):
    """Answer with an error: status, X-Error-Code, message."""

    def __init__(self, status: int, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Store:
    """Everything the Hub knows."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.xet = XetStore()
        self.failures: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []


STORE = Store()


def apply(files: dict[str, File], key: str, value: dict[str, Any]) -> None:
    """One line of a commit."""
    path = value["path"]
    if key == "file":
        files[path] = File(base64.b64decode(value["content"]), False)
    elif key == "lfsFile":
        if value["oid"] not in STORE.blobs:
            raise Refused(400, None, f"LFS pointer pointed to a file that does not exist: {path}")
        files[path] = File(STORE.blobs[value["oid"]], True)
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
    elif key == "deletedFolder":
        for name in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
            del files[name]


def card_data(commit: Commit) -> dict[str, str]:
    """The plain keys of a card's metadata; the standard library reads no YAML."""
    card = commit.files["README.md"].content.decode() if "README.md" in commit.files else ""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    return dict(re.findall(r"^(\w+): (\S+)$", found.group(1), re.MULTILINE)) if found else {}


def describe(path: str, file: File) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "oid": file.blob_id, "size": len(file.content)}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": 130}
    return entry


def somebody_commits(kind: str, id: str, files: dict[str, str], title: str = "by hand") -> None:
    with STORE.lock:
        repo = STORE.repos[kind, id]
        added = {path: File(text.encode(), False) for path, text in files.items()}
        repo.commit({**repo.commits[-1].files, **added}, title)
