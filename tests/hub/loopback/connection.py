"""One connection to the loopback Hub: who asks, which failure is due, bodies and replies."""

from __future__ import annotations

import json
import re
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from store import STORE, TYPES, Refused, Repo, somebody_commits

TOKENS = {
    "hf_" + "w" * 34: ("me", "write"),
    "hf_" + "r" * 34: ("me", "read"),
    "hf_" + "o" * 34: ("other", "write"),
}


class Connection(BaseHTTPRequestHandler):
    """Finds the route of a request among `ROUTES`: (methods, pattern of the path, action)."""

    ROUTES: list[tuple[str, str, Any]] = []
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
            for method, pattern, action in self.ROUTES:
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


class _Nowhere:
    """A reply that is never sent: the connection ends instead."""

    closed = True

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def write(self, data: bytes) -> None:
        self.connection.close()
        raise BrokenPipeError

    def flush(self) -> None:
        pass
