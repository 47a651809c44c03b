"""A Hub on loopback: the part of its HTTP protocol that the real clients speak, in memory, with failures on request.

Run as `python tests/hub/loopback`: prints its URL and serves until stdin closes. What each route answers was read
from the clients (huggingface_hub, hf_xet, datasets, transformers, peft, evaluate). `/_test/` routes are for the tests:

- `fail`: answer the next requests that match with a status, a disconnect or a pause; `failures`: those to come
- `commit`: a commit by somebody else; `log`: the requests so far; `repos`: what is stored
"""

from __future__ import annotations

import sys
import threading
from http.server import ThreadingHTTPServer

from reading import Reading
from store import STORE, somebody_commits
from writing import Writing


class Handler(Reading, Writing):
    """All routes, and those for the tests."""

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
Handler.ROUTES = ROUTES


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the test process lets go, however it ends


if __name__ == "__main__":
    main()
