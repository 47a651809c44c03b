"""Reading from the loopback Hub: accounts, information, trees, and files by redirects."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

from connection import Connection
from store import STORE, Refused, card_data, describe


class Reading(Connection):
    """Routes that change nothing."""

    def whoami(self) -> None:
        if self.user is None:
            raise Refused(401, None, "Invalid credentials in Authorization header")
        token = {"displayName": "test", "role": self.role}
        self.reply(200, {"type": "user", "name": self.user, "orgs": [], "auth": {"accessToken": token}})

    def info(self, kind: str, id: str, revision: str | None = None) -> None:
        repo = self.repo(kind, id)
        commit = repo.at(revision or "main")
        self.reply(
            200,
            {
                "_id": "0" * 24,
                "id": id,
                "modelId": id,
                "author": id.split("/")[0],
                "sha": commit.oid,
                "private": repo.private,
                "disabled": False,
                "gated": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "cardData": card_data(commit),
                "sdk": repo.sdk,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path} for path in commit.files],
            },
        )

    def refs(self, kind: str, id: str) -> None:
        head = self.repo(kind, id).at("main").oid
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": head}
        self.reply(200, {"branches": [branch], "tags": [], "converts": [], "pullRequests": []})

    def history(self, kind: str, id: str, revision: str) -> None:
        repo = self.repo(kind, id)
        day = "2026-01-01T00:00:00.000Z"
        found = [{"id": c.oid, "title": c.title, "message": "", "date": day, "authors": []} for c in repo.commits]
        self.reply(200, found[::-1])

    def tree(self, kind: str, id: str, revision: str, path: str | None = None) -> None:
        files = self.repo(kind, id).at(revision).files
        prefix = f"{path}/" if path else ""
        inside = {name: file for name, file in files.items() if name.startswith(prefix)}
        if path and not inside:
            raise Refused(404, "EntryNotFound", f"{path} does not exist on {revision}")
        deep = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        found: dict[str, Any] = {}
        for name, file in sorted(inside.items()):
            rest = name[len(prefix) :].split("/")
            for depth in range(1, len(rest)):
                folder = prefix + "/".join(rest[:depth])
                found.setdefault(folder, {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0})
            found[name] = describe(name, file)
        shown = [entry for name, entry in found.items() if deep or "/" not in name[len(prefix) :]]
        self.reply(200, shown)

    def paths_info(self, kind: str, id: str, revision: str) -> None:
        files = self.repo(kind, id).at(revision).files
        text = self.body.decode()
        asked = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text).get("paths", [])
        found = []
        for path in [asked] if isinstance(asked, str) else asked:
            if path in files:
                found.append(describe(path, files[path]))
            elif any(name.startswith(f"{path}/") for name in files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self.reply(200, found)

    def resolve(self, id: str, revision: str, path: str, kind: str | None = None) -> None:
        repo = self.repo((kind or "models/").rstrip("/"), id)
        commit = repo.at(revision)
        if path not in commit.files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        file = commit.files[path]
        facts = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.blob_id}"', "Accept-Ranges": "bytes"}
        if file.lfs:  # storage is another place: an absolute redirect, with the facts of the file
            STORE.blobs[file.sha256] = file.content
            linked = {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content))}
            return self.reply(302, b"", {**facts, **linked, "Location": f"{self.storage}/_cdn/{file.sha256}"})
        cached = f"/api/resolve-cache/{kind or 'models/'}{id}/{commit.oid}/{path}"
        self.reply(307, b"", {**facts, "Location": cached})

    def resolve_cache(self, kind: str, id: str, revision: str, path: str) -> None:
        commit = self.repo(kind, id).at(revision)
        file = commit.files[path]
        self._content(file.content, {"X-Repo-Commit": commit.oid, "ETag": f'"{file.blob_id}"'})

    def cdn(self, oid: str) -> None:
        self._content(STORE.blobs[oid], {"ETag": f'"{oid}"'})

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        headers = {**headers, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            return self.reply(200, content, {**headers, "Content-Length": str(len(content))})
        first, last = asked.groups()
        start = int(first) if first else max(0, len(content) - int(last))
        end = min(int(last), len(content) - 1) if first and last else len(content) - 1
        if start >= len(content):
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        place = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
        part = content[start : end + 1]
        self.reply(206, part, {**headers, **place, "Content-Length": str(len(part))})
