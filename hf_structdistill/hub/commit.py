"""One commit that makes a repository hold a folder's files, or leaves it as it was."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    hf_hub_download,
)
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError

from ..errors import InputError
from .cards import merge_cards
from .session import explain, pause

logger = logging.getLogger(__name__)

CARD = "README.md"
_ATTEMPTS = 8
_FIRST_WAIT = 0.5  # seconds; doubles, with jitter

Content = Path | bytes
Files = Mapping[str, Content]


@dataclass(frozen=True)
class Repository:
    """Where to publish: `type` is "model", "dataset" or "space"."""

    id: str
    type: str = "model"
    sdk: str | None = None
    revision: str | None = None

    @property
    def url(self) -> str:
        """Its page."""
        return f"{constants.ENDPOINT}/{'' if self.type == 'model' else self.type + 's/'}{self.id}"


@dataclass(frozen=True)
class Plan:
    """What a commit would do."""

    upload: dict[str, Content] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether the repository holds the files already."""
        return not self.upload and not self.delete


@dataclass(frozen=True)
class Publication:
    """What was published: the revision, and how it differs from the one before. A dry run has no commit."""

    repository: Repository
    uploaded: Mapping[str, int]  # path -> bytes
    deleted: list[str]
    unchanged: list[str]
    commit: CommitInfo | None
    private: bool
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Head:
    oid: str | None = None  # None: no such repository yet
    private: bool = True
    files: Mapping[str, RepoFile] = field(default_factory=dict)


def publish_files(
    api: HfApi,
    repository: Repository,
    files: Files,
    card: str,
    *,
    owned: Callable[[str], bool],
    message: str,
    public: bool = False,
    dry_run: bool = False,
    left_out: Mapping[str, str] | None = None,
    notes: tuple[str, ...] = (),
) -> Publication:
    """Make `repository` hold `files`, by one commit on the head it was compared with.

    The head is read, compared, and named as the commit's parent. Where it moved meanwhile, or the Hub is busy, all
    of this starts anew; so a commit whose answer was lost is found done, and publishing twice changes nothing.
    Uploads that no commit names are invisible: until the commit, the previous revision is what everybody loads.

    Args:
        files: path -> content, README.md left out.
        card: our README.md, which is merged with the one that the repository has.
        owned: whether a path is of the kind that is published here; such a file that is no longer among `files` is
            deleted by the same commit. Others stay.
        public: open the repository, after the commit. A new one is private otherwise; an old one stays as it is.

    Raises:
        InputError: the Hub refuses, or does not answer after 8 attempts.
    """
    for attempt in range(_ATTEMPTS):
        try:
            head = _read_head(api, repository)
            merged = merge_cards(_read_card(api, repository, head), card).encode()
            plan = _compare({**files, CARD: merged}, head, owned)
            _refuse_secrets(api, plan)
            commit = None
            if not dry_run:
                head = head if head.oid else _create(api, repository)
                commit = _commit(api, repository, head, plan, message)
                if public and head.private:
                    api.update_repo_settings(repository.id, private=False, repo_type=repository.type)
            return Publication(
                repository,
                {path: _size(content) for path, content in plan.upload.items()},
                plan.delete,
                plan.unchanged,
                commit,
                head.private and not public,
                left_out or {},
                notes,
            )
        except InputError:
            raise
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            wait = pause(error, attempt, _FIRST_WAIT)
            if wait is None or attempt == _ATTEMPTS - 1:
                raise explain(error, repository.id) from error
            logger.info("The Hub did not take the commit (%s); trying again in %.1f s.", type(error).__name__, wait)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _read_head(api: HfApi, repository: Repository) -> _Head:
    try:
        info: Any = api.repo_info(repository.id, repo_type=repository.type, revision=repository.revision)
    except RepositoryNotFoundError:
        return _Head()
    tree = api.list_repo_tree(repository.id, recursive=True, revision=info.sha, repo_type=repository.type)
    return _Head(info.sha, bool(info.private), {f.path: f for f in tree if isinstance(f, RepoFile)})


def _read_card(api: HfApi, repository: Repository, head: _Head) -> str | None:
    if CARD not in head.files:
        return None
    path = hf_hub_download(
        repository.id,
        CARD,
        repo_type=repository.type,
        revision=head.oid,
        token=api.token,
    )
    return Path(path).read_text(encoding="utf-8")


def _create(api: HfApi, repository: Repository) -> _Head:
    api.create_repo(repository.id, repo_type=repository.type, private=True, exist_ok=True, space_sdk=repository.sdk)
    return _read_head(api, repository)


def _compare(files: Files, head: _Head, owned: Callable[[str], bool]) -> Plan:
    plan = Plan()
    for path, content in sorted(files.items()):
        if path in head.files and _same(content, head.files[path]):
            plan.unchanged.append(path)
        else:
            plan.upload[path] = content
    plan.delete.extend(sorted(path for path in head.files if owned(path) and path not in files))
    return plan


def _same(content: Content, there: RepoFile) -> bool:
    size = _size(content)
    if size != there.size:
        return False
    if there.lfs is not None:
        return _digest(hashlib.sha256(), content) == there.lfs.sha256
    return _digest(hashlib.sha1(b"blob %d\0" % size), content) == there.blob_id  # as git names it


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _digest(hasher: Any, content: Content) -> str:
    if isinstance(content, bytes):
        hasher.update(content)
    else:
        with content.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()


def _commit(api: HfApi, repository: Repository, head: _Head, plan: Plan, message: str) -> CommitInfo:
    if plan.empty:
        return CommitInfo(
            commit_url=f"{repository.url}/commit/{head.oid}",
            commit_message=message,
            commit_description="",
            oid=str(head.oid),
        )
    operations: list[Any] = [CommitOperationAdd(path, content) for path, content in plan.upload.items()]
    operations += [CommitOperationDelete(path, is_folder=False) for path in plan.delete]
    return api.create_commit(
        repository.id,
        operations,
        commit_message=message,
        repo_type=repository.type,
        revision=repository.revision,
        parent_commit=head.oid,
    )


def _refuse_secrets(api: HfApi, plan: Plan) -> None:
    """The last look at what anybody could read: no text may hold the token that publishes it."""
    for path, content in plan.upload.items():
        if path.endswith((".safetensors", ".png")) or not api.token:
            continue
        if any(str(api.token).encode() in data for data in _readable(path, content)):
            raise InputError(f"The file '{path}' holds your Hub token; remove it from there, and renew the token.")


def _readable(path: str, content: Content) -> Iterator[bytes]:
    """What a file says: its bytes, and the rows of Parquet, whose bytes are packed."""
    yield content if isinstance(content, bytes) else content.read_bytes()
    if path.endswith(".parquet") and isinstance(content, Path):
        from pyarrow.parquet import ParquetFile

        with ParquetFile(content) as file:
            yield from (str(batch.to_pylist()).encode("utf-8", "replace") for batch in file.iter_batches(1024))
