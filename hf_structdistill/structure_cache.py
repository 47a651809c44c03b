"""Remembers the structure of examples by their content, for all data-loader workers at once.

A worker sees other examples in the second epoch than in the first, and workers that do not persist are new in every
epoch, so a memory of each worker's own would seldom help. All of them append to one file that has no name: it is gone
with the last process, however that ends.
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from .structure import Annotation

try:
    import fcntl
except ImportError:  # Windows has neither this nor `os.pread`: nothing is remembered there
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<16sII")  # key, length of what follows, its CRC-32
_SIZES = struct.Struct("<8i")  # T, k, N, C, M, code_start, code_bytes, unparsed_bytes


def content_key(ids: np.ndarray, labels: np.ndarray) -> bytes:
    """16 bytes that stand for an example: its token ids, and which of them are supervised."""
    digest = hashlib.blake2b(np.ascontiguousarray(ids, dtype=np.int64), digest_size=16)
    digest.update((labels != -100).tobytes())
    return digest.digest()


class StructureCache:
    """Content key -> `Annotation`, in a temporary file shared with forked and (on Linux) spawned processes.

    Records are appended with one write each and carry a checksum; a reader that meets half a record stops before it.
    So no locks are needed, and the worst that can happen is that an example is analysed twice.

    Args:
        size: examples to remember; further ones are analysed every time. About 13 bytes a token with 4 ancestors.
    """

    def __init__(self, size: int) -> None:
        self.size = size if fcntl else 0
        self._file: IO[bytes] = _shared_file()
        self._places: dict[bytes, tuple[int, int, int]] = {}  # key -> offset, length, checksum
        self._seen = 0
        self._records = 0

    def __len__(self) -> int:
        """How many examples are remembered, those that other processes analysed included."""
        self._catch_up()
        return len(self._places)

    @property
    def records(self) -> int:
        """How many analyses were written by all processes; larger than `len` where some were done twice."""
        self._catch_up()
        return self._records

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Annotation]:
        """The annotations of those keys that are known."""
        wanted = set(keys)
        if not wanted <= self._places.keys():
            self._catch_up()
        found = {key: self._read(key) for key in wanted if key in self._places}
        return {key: annotation for key, annotation in found.items() if annotation is not None}

    def add(self, key: bytes, annotation: Annotation) -> None:
        """Remember an annotation, where there is room."""
        if len(self) >= self.size:
            return
        body = _pack(annotation)
        try:
            os.write(self._file.fileno(), _HEADER.pack(key, len(body), zlib.crc32(body)) + body)
        except OSError as error:
            logger.warning("No room to remember more structure (%s): it is found anew in every epoch.", error.strerror)
            self.size = 0

    def _catch_up(self) -> None:
        """Read the headers of the records that came since the last look."""
        descriptor = self._file.fileno()
        end = os.fstat(descriptor).st_size
        while self._seen + _HEADER.size <= end:
            key, length, checksum = _HEADER.unpack(os.pread(descriptor, _HEADER.size, self._seen))
            start = self._seen + _HEADER.size
            if start + length > end:
                return  # still being written
            self._places[key] = start, length, checksum
            self._seen = start + length
            self._records += 1

    def _read(self, key: bytes) -> Annotation | None:
        start, length, checksum = self._places[key]
        body = os.pread(self._file.fileno(), length, start)
        return _unpack(body) if zlib.crc32(body) == checksum else None

    def __getstate__(self) -> dict[str, Any]:
        # a spawned worker opens the nameless file through the process that has it open
        return {"size": self.size, "door": f"/proc/{os.getpid()}/fd/{self._file.fileno()}"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["size"])  # type: ignore[misc]
        try:
            self._file = os.fdopen(os.open(state["door"], os.O_RDWR | os.O_APPEND), "r+b", buffering=0)
        except OSError:  # no /proc, or another machine: a file of its own
            return


def _shared_file() -> IO[bytes]:
    file = tempfile.TemporaryFile(buffering=0)
    if fcntl:
        fcntl.fcntl(file.fileno(), fcntl.F_SETFL, os.O_APPEND)
    return file


def _pack(annotation: Annotation) -> bytes:
    sources = annotation.dataflow_sources
    sizes = _SIZES.pack(
        *annotation.ancestor_types.shape,
        *sources.shape,
        len(annotation.variable_positions),
        annotation.code_start,
        annotation.code_bytes,
        annotation.unparsed_bytes,
    )
    positions = (annotation.dataflow_uses, sources, annotation.variable_positions)
    return b"".join(
        [
            sizes,
            annotation.structure_score.astype(np.float32).tobytes(),
            *(array.astype(np.int32).tobytes() for array in positions),
            annotation.ancestor_types.astype(np.int16).tobytes(),
            annotation.code_mask.tobytes(),
        ]
    )


def _unpack(body: bytes) -> Annotation:
    length, levels, uses, width, variables, code_start, code_bytes, unparsed_bytes = _SIZES.unpack_from(body)
    at = _SIZES.size

    def take(count: int, dtype: type) -> np.ndarray:
        nonlocal at
        array = np.frombuffer(body, dtype=dtype, count=count, offset=at)
        at += array.nbytes
        return array

    return Annotation(
        structure_score=take(length, np.float32),
        dataflow_uses=take(uses, np.int32).astype(np.int64),
        dataflow_sources=take(uses * width, np.int32).astype(np.int64).reshape(uses, width),
        variable_positions=take(variables, np.int32).astype(np.int64),
        ancestor_types=take(length * levels, np.int16).astype(np.int64).reshape(length, levels),
        code_mask=take(length, np.bool_),
        code_start=code_start,
        code_bytes=code_bytes,
        unparsed_bytes=unparsed_bytes,
    )
