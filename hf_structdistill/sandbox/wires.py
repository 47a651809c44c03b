"""Sockets between our own processes. `_socket`, because `socket` would be a third of an interpreter's start."""

from __future__ import annotations

import array
import os
from _socket import (
    AF_UNIX,
    CMSG_LEN,
    MSG_DONTWAIT,
    SCM_RIGHTS,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
    socketpair,
)

__all__ = [
    "MSG_DONTWAIT",
    "packet_pair",
    "receive_fd",
    "read_exactly",
    "send_fd",
    "socket",
    "stream_pair",
    "write_all",
]


def packet_pair() -> tuple[socket, socket]:
    """A pair that keeps message boundaries."""
    return socketpair(AF_UNIX, SOCK_SEQPACKET)


def stream_pair() -> tuple[socket, socket]:
    return socketpair(AF_UNIX, SOCK_STREAM)


def send_fd(wire: socket, message: bytes, fd: int) -> None:
    """One message with a file descriptor."""
    wire.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, array.array("i", [fd]))])


def receive_fd(wire: socket, size: int) -> tuple[bytes, int | None]:
    """One message of at most `size` bytes, and the file descriptor that came with it, if any."""
    fds = array.array("i")
    message, ancillary, _, _ = wire.recvmsg(size, CMSG_LEN(fds.itemsize))
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            fds.frombytes(data[: fds.itemsize])
    return message, fds[0] if fds else None


def read_exactly(fd: int, size: int) -> bytes | None:
    """That many bytes, None at the end of the stream."""
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
