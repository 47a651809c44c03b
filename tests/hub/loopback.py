"""A Hub on loopback: the part of its HTTP protocol that the real clients speak, in memory, with failures on request.

Run as `python loopback.py`: prints its URL and serves until stdin closes. What each route answers was read from the
clients (huggingface_hub, hf_xet, datasets, transformers, peft, evaluate). `/_test/` routes are for the tests:

- `fail`: answer the next requests that match with a status, a disconnect or a pause
- `commit`: a commit by somebody else; `log`: the requests so far; `repos`: what is stored
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from xet_store import XetStore  # noqa: E402

TOKENS = {
    "hf_" + "w" * 34: ("me", "write"),
    "hf_" + "r" * 34: ("me", "read"),
    "hf_" + "o" * 34: ("other", "write"),
}
LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".parquet", ".png")
PART_SIZE = 64 * 1024
MULTIPART_ABOVE = 256 * 1024
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


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        split = urlsplit(self.path)
        self.route, self.query = unquote(split.path), parse_qs(split.query)
        user, self.role = TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer "), (None, None))
        self.user = user
        failure = self._failure()
        with STORE.lock:
            entry = {"method": self.command, "path": self.route, "user": user}
            STORE.log.append({**entry, "agent": self.headers.get("User-Agent", "")})
        try:
            if failure and not self._keep_going(failure):
                return
            self.body = self._read_body()
            for method, pattern, action in ROUTES:
                found = re.fullmatch(pattern, self.route)
                if found and self.command in method.split("|"):
                    return action(self, **found.groupdict())
            raise Refused(404, None, f"No route for {self.command} {self.route}")
        except Refused as error:
            headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
            self.reply(error.status, {"error": error.message}, headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ---- failures --------------------------------------------------------------------------------------------------

    def _failure(self) -> dict[str, Any] | None:
        with STORE.lock:
            for failure in STORE.failures:
                if failure["method"] == self.command and re.search(failure["path"], self.route):
                    if failure.get("skip", 0) > 0:
                        failure["skip"] -= 1
                        continue
                    failure["times"] -= 1
                    if failure["times"] <= 0:
                        STORE.failures.remove(failure)
                    return failure
        return None

    def _keep_going(self, failure: dict[str, Any]) -> bool:
        """Act on an injected failure; whether the request is to be answered all the same."""
        kind = failure["kind"]
        if kind == "disconnect":
            self.rfile.read(min(int(self.headers.get("Content-Length") or 1), 1000))
            self.close_connection = True
            self.connection.close()
            return False
        if kind == "pause":
            time.sleep(failure["seconds"])
            return True
        if kind == "race":
            somebody_commits(**failure["commit"])
            return True
        if kind == "answer_lost":  # the request is obeyed, its answer never arrives
            self.wfile = _Nowhere(self.connection)
            return True
        self._read_body()
        self.reply(failure["status"], {"error": "injected"}, failure.get("headers") or {})
        return False

    # ---- plumbing --------------------------------------------------------------------------------------------------

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def reply(self, status: int, content: Any = b"", headers: dict[str, str] | None = None) -> None:
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        headers = {k.lower(): v for k, v in (headers or {}).items()}
        headers.setdefault("content-length", str(len(content)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def url(self) -> str:
        return f"http://{self.headers['Host']}"

    @property
    def storage(self) -> str:
        """Where large files lie: another host than the Hub's, as far as a client can tell."""
        return f"http://localhost:{self.headers['Host'].split(':')[1]}"

    def repo(self, kind: str, id: str, *, write: bool = False) -> Repo:
        repo = STORE.repos.get((TYPES[kind], id))
        if repo is None or (repo.private and self.user != id.split("/")[0]):
            if self.user is None:
                raise Refused(401, "RepoNotFound", "Invalid username or password.")
            raise Refused(404, "RepoNotFound", "Repository not found")
        if write:
            self.may_write(id.split("/")[0])
        return repo

    def may_write(self, namespace: str) -> None:
        if self.user is None:
            raise Refused(401, None, "Invalid username or password.")
        if self.user != namespace or self.role != "write":
            raise Refused(403, None, "You don't have the required permissions to perform this action")

    # ---- accounts and repositories ---------------------------------------------------------------------------------

    def whoami(self) -> None:
        if self.user is None:
            raise Refused(401, None, "Invalid credentials in Authorization header")
        token = {"displayName": "test", "role": self.role}
        self.reply(200, {"type": "user", "name": self.user, "orgs": [], "auth": {"accessToken": token}})

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

    # ---- reading ---------------------------------------------------------------------------------------------------

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

    # ---- writing ---------------------------------------------------------------------------------------------------

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

    # ---- for the tests ---------------------------------------------------------------------------------------------

    def test_fail(self) -> None:
        with STORE.lock:
            STORE.failures.append({"times": 1, **self.json()})
        self.reply(200, {})

    def test_log(self) -> None:
        with STORE.lock:
            self.reply(200, STORE.log)
            STORE.log = []

    def test_failures(self) -> None:
        with STORE.lock:
            self.reply(200, STORE.failures)

    def test_repos(self) -> None:
        with STORE.lock:
            found = {
                f"{kind}:{id}": {
                    "private": repo.private,
                    "sdk": repo.sdk,
                    "commits": [commit.title for commit in repo.commits],
                    "files": {path: len(file.content) for path, file in repo.commits[-1].files.items()},
                }
                for (kind, id), repo in STORE.repos.items()
            }
        self.reply(200, found)

    def test_commit(self) -> None:
        somebody_commits(**self.json())
        self.reply(200, {})


class _Nowhere:
    """A reply that is never sent: the connection ends instead."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def write(self, data: bytes) -> None:
        self.connection.close()
        raise BrokenPipeError

    def flush(self) -> None:
        pass


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


_REPO = r"/api/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)"
_GIT = r"/(?P<kind>datasets/|spaces/)?(?P<id>[^/]+/[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Handler.whoami),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate_yaml),
    ("PUT", _REPO + r"/settings", Handler.settings),
    ("GET", _REPO, Handler.info),
    ("GET", _REPO + r"/revision/(?P<revision>[^/]+)", Handler.info),
    ("GET", _REPO + r"/refs", Handler.refs),
    ("GET", _REPO + r"/commits/(?P<revision>[^/]+)", Handler.history),
    ("GET", _REPO + r"/tree/(?P<revision>[^/]+)(/(?P<path>.+))?", Handler.tree),
    ("POST", _REPO + r"/paths-info/(?P<revision>[^/]+)", Handler.paths_info),
    ("POST", _REPO + r"/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", _REPO + r"/commit/(?P<revision>[^/]+)", Handler.commit),
    ("GET", _REPO + r"/xet-(?P<access>read|write)-token(/(?P<revision>[^/]+))?", Handler.xet_token),
    ("POST", _GIT + r"\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("POST", _GIT + r"\.git/info/lfs/verify", Handler.verify),
    (
        "GET|HEAD",
        r"/api/resolve-cache/(?P<kind>models|datasets|spaces)/(?P<id>[^/]+/[^/]+)/(?P<revision>\w+)/(?P<path>.+)",
        Handler.resolve_cache,
    ),
    ("GET|HEAD", _GIT + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
    ("GET|HEAD", r"/_cdn/(?P<oid>\w+)", Handler.cdn),
    ("PUT", r"/_storage/(?P<oid>\w+)", Handler.upload),
    ("PUT", r"/_storage/(?P<oid>\w+)/(?P<number>\d+)", Handler.upload_part),
    ("POST", r"/_complete/(?P<oid>\w+)", Handler.complete),
    ("POST", r"/_cas/v1/xorbs/default/(?P<name>\w+)", Handler.xorb),
    ("POST", r"/_cas/(v1/)?shards", Handler.shard),
    ("GET", r"/_cas/v1/chunks/[^/]+/(?P<name>\w+)", Handler.unknown_chunk),
    ("POST", r"/_test/fail", Handler.test_fail),
    ("POST", r"/_test/commit", Handler.test_commit),
    ("GET", r"/_test/log", Handler.test_log),
    ("GET", r"/_test/failures", Handler.test_failures),
    ("GET", r"/_test/repos", Handler.test_repos),
]


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the test process lets go, however it ends


if __name__ == "__main__":
    main()
