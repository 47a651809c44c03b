"""The receiving half of Xet storage: xorbs and shards in, whole files out.

Formats: the Xet protocol specification (https://huggingface.co/docs/xet), sections "Xorb format" and "Shard format".
"""

from __future__ import annotations

import hashlib
import struct

HASH = 32
ENTRY = 48
BOOKEND = b"\xff" * HASH
WITH_VERIFICATION, WITH_METADATA = 1 << 31, 1 << 30


def hash_text(raw: bytes) -> str:
    """A Merkle hash as text: four little-endian 64-bit words, each in hexadecimal."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


class XetStore:
    """Chunks by xorb hash; `add_shard` rebuilds the files that a shard describes."""

    def __init__(self) -> None:
        self.xorbs: dict[str, list[bytes]] = {}

    def add_xorb(self, name: str, body: bytes) -> bool:
        """Store the chunks of a serialised xorb; whether it is new."""
        new = name not in self.xorbs
        self.xorbs[name] = read_chunks(body)
        return new

    def add_shard(self, body: bytes) -> dict[str, bytes]:
        """The files a shard describes, by SHA-256."""
        files = (b"".join(self._segment(*segment) for segment in segments) for segments in read_files(body))
        return {hashlib.sha256(content).hexdigest(): content for content in files}

    def _segment(self, xorb: str, start: int, end: int) -> bytes:
        return b"".join(self.xorbs[xorb][start:end])


def read_chunks(body: bytes) -> list[bytes]:
    """Chunks of a xorb: each has a header of 8 bytes; a footer, where there is one, begins with 'XETBLOB'."""
    chunks, at = [], 0
    while at < len(body) and body[at : at + 7] != b"XETBLOB":
        size = int.from_bytes(body[at + 1 : at + 4], "little")
        kind = body[at + 4]
        length = int.from_bytes(body[at + 5 : at + 8], "little")
        chunk = decompress(kind, body[at + 8 : at + 8 + size])
        assert len(chunk) == length, (kind, len(chunk), length)
        chunks.append(chunk)
        at += 8 + size
    return chunks


def read_files(body: bytes) -> list[list[tuple[str, int, int]]]:
    """For each file of a shard its segments: xorb, first chunk, end chunk."""
    files, at = [], ENTRY  # past the header: magic, version, footer size
    while body[at : at + HASH] != BOOKEND:
        flags, entries = struct.unpack_from("<II", body, at + HASH)
        at += ENTRY
        segments = []
        for _ in range(entries):
            _, _, start, end = struct.unpack_from("<IIII", body, at + HASH)
            segments.append((hash_text(body[at : at + HASH]), start, end))
            at += ENTRY
        files.append(segments)
        at += ENTRY * (entries if flags & WITH_VERIFICATION else 0)
        at += ENTRY if flags & WITH_METADATA else 0
    return files


def decompress(kind: int, data: bytes) -> bytes:
    """0: stored, 1: LZ4 frame, 2: LZ4 frame of the bytes grouped by position modulo four."""
    if kind == 0:
        return data
    plain = lz4_frame(data)
    if kind == 1:
        return plain
    out, at = bytearray(len(plain)), 0
    for place in range(4):
        count = (len(plain) - place + 3) // 4
        out[place::4] = plain[at : at + count]
        at += count
    return bytes(out)


def lz4_frame(data: bytes) -> bytes:
    """Decode an LZ4 frame (magic 0x184D2204); checksums are not checked."""
    assert data[:4] == b"\x04\x22\x4d\x18", data[:8]
    flags, at = data[4], 6
    at += (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0) + 1
    out = bytearray()
    while size := int.from_bytes(data[at : at + 4], "little"):
        at += 4
        stored, size = size >> 31, size & 0x7FFFFFFF
        block = data[at : at + size]
        out += block if stored else b""
        if not stored:
            lz4_block(block, out)
        at += size + (4 if flags & 0x10 else 0)
    return bytes(out)


def lz4_block(block: bytes, out: bytearray) -> None:
    """Append a decoded LZ4 block to `out`."""
    at = 0
    while at < len(block):
        token = block[at]
        literals, at = _length(block, at + 1, token >> 4)
        out += block[at : at + literals]
        at += literals
        if at >= len(block):
            return
        offset = int.from_bytes(block[at : at + 2], "little")
        match, at = _length(block, at + 2, token & 15)
        match += 4
        start = len(out) - offset
        repeated = out[start : start + match]
        out += (repeated * (match // len(repeated) + 1))[:match]


def _length(block: bytes, at: int, length: int) -> tuple[int, int]:
    if length == 15:
        while True:
            length += block[at]
            at += 1
            if block[at - 1] != 255:
                break
    return length, at
