"""Writing to the loopback Hub: repositories, uploads by LFS and by Xet, commits."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from connection import Connection
from store import STORE, File, Refused, Repo, apply

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".parquet", ".png")
PART_SIZE = 64 * 1024
MULTIPART_ABOVE = 256 * 1024


class Writing(Connection):
    """Routes that need a token which may write."""

    def create(self) -> None:
        asked = self.json()
        namespace = asked.get("organization") or self.user
        self.may_write(namespace)
        id, kind = f"{namespace}/{asked['name']}", asked.get("type") or "model"
        url = f"{self.url}/{'' if kind == 'model' else kind + 's/'}{id}"
        with STORE.lock:
            if (kind, id) in STORE.repos:
                error = "You already created this repo"
                return self.reply(409, {"error": error, "url": url}, {"X-Error-Message": error})
            if kind == "space" and not asked.get("sdk"):
                raise Refused(400, None, "a Space needs an sdk")
            private = asked.get("visibility") == "private" or asked.get("private") is True
            repo = STORE.repos[kind, id] = Repo(id, kind, private, asked.get("sdk"))
            repo.commit({".gitattributes": File(b"*.safetensors filter=lfs\n", False)}, "initial commit")
        self.reply(200, {"url": url, "name": id, "id": id})

    def settings(self, kind: str, id: str) -> None:
        repo = self.repo(kind, id, write=True)
        asked = self.json()
        if "private" in asked or "visibility" in asked:
            repo.private = asked.get("private", asked.get("visibility") == "private")
        self.reply(200, {"private": repo.private})

    def preupload(self, kind: str, id: str, revision: str) -> None:
        files = self.repo(kind, id, write=True).at(revision).files
        answer = []
        for asked in self.json()["files"]:
            path = asked["path"]
            mode = "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
            entry = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            answer.append(entry | ({"oid": files[path].etag} if path in files else {}))
        self.reply(200, {"files": answer, "commitOid": self.repo(kind, id).at(revision).oid})

    def lfs_batch(self, id: str, kind: str | None = None) -> None:
        self.repo((kind or "models/").rstrip("/"), id, write=True)
        objects = []
        for asked in self.json()["objects"]:
            oid, size = asked["oid"], asked["size"]
            entry: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in STORE.blobs:
                upload: dict[str, Any] = {"href": f"{self.storage}/_storage/{oid}"}
                if size > MULTIPART_ABOVE:
                    count = -(-size // PART_SIZE)
                    parts = {str(n): f"{self.storage}/_storage/{oid}/{n}" for n in range(1, count + 1)}
                    upload = {"href": f"{self.url}/_complete/{oid}", "header": {"chunk_size": str(PART_SIZE), **parts}}
                verify = {"href": f"{self.url}/{kind or ''}{id}.git/info/lfs/verify"}
                entry["actions"] = {"upload": upload, "verify": verify}
            objects.append(entry)
        self.reply(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        self._keep(oid, self.body)
        self.reply(200)

    def upload_part(self, oid: str, number: str) -> None:
        with STORE.lock:
            STORE.parts.setdefault(oid, {})[int(number)] = self.body
        self.reply(200, b"", {"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'})

    def complete(self, oid: str) -> None:
        parts = STORE.parts.pop(oid)
        for part in self.json()["parts"]:
            assert part["etag"].strip('"') == hashlib.md5(parts[part["partNumber"]]).hexdigest()
        self._keep(oid, b"".join(parts[number] for number in sorted(parts)))
        self.reply(200, {})

    def _keep(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refused(400, None, "the content does not have the announced hash")
        STORE.blobs[oid] = content

    def verify(self, id: str, kind: str | None = None) -> None:
        asked = self.json()
        if len(STORE.blobs.get(asked["oid"], b"")) != asked["size"]:
            raise Refused(404, None, "object not found")
        self.reply(200, {})

    def commit(self, kind: str, id: str, revision: str) -> None:
        repo = self.repo(kind, id, write=True)
        lines = [json.loads(line) for line in self.body.splitlines() if line]
        header = lines[0]["value"]
        with STORE.lock:
            head = repo.at(revision)
            parent = header.get("parentCommit")
            if parent and not head.oid.startswith(parent):
                raise Refused(412, None, "A commit has happened since. Please refresh and try again.")
            files = dict(head.files)
            for line in lines[1:]:
                apply(files, line["key"], line["value"])
            made = repo.commit(files, header["summary"])
        self.reply(
            200,
            {
                "success": True,
                "commitOid": made.oid,
                "commitUrl": f"{self.url}/{id}/commit/{made.oid}",
                "hookOutput": "",
            },
        )

    def validate_yaml(self) -> None:
        self.reply(200, {"errors": [], "warnings": []})

    # ---- Xet -------------------------------------------------------------------------------------------------------

    def xet_token(self, kind: str, id: str, access: str, revision: str | None = None) -> None:
        self.repo(kind, id, write=access == "write")
        expires = int(time.time()) + 3600
        cas = f"{self.url}/_cas"
        headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(expires)}
        self.reply(200, {"casUrl": cas, "accessToken": "xet", "exp": expires}, headers)

    def xorb(self, name: str) -> None:
        with STORE.lock:
            self.reply(200, {"was_inserted": STORE.xet.add_xorb(name, self.body)})

    def shard(self) -> None:
        with STORE.lock:
            STORE.blobs.update(STORE.xet.add_shard(self.body))
        self.reply(200, {"result": 1})

    def unknown_chunk(self, name: str) -> None:
        raise Refused(404, None, "chunk not known")
