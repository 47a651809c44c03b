"""Frames over a stream socket: four bytes of length, then that many bytes."""

from __future__ import annotations

import os

MAX_FRAME = 32 << 20


class ChannelError(Exception):
    """The other side wrote what is no frame."""


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


class Channel:
    """Both ends of the wire between judge and candidate. The fd is used raw: nothing is buffered on write."""

    def __init__(self, fd: int):
        self.fd = fd
        self._ahead = b""

    def send(self, payload: bytes) -> None:
        """Write one frame. Raises OSError when the other side is gone."""
        data = framed(payload)
        written = os.write(self.fd, data)
        if written < len(data):
            view = memoryview(data)[written:]
            while view:
                view = view[os.write(self.fd, view) :]

    def receive(self) -> bytes | None:
        """The next frame, or None at the end of the stream. Raises ChannelError for a length out of bounds."""
        if not self._ahead:  # mostly, one read is one frame
            data = os.read(self.fd, 65536)
            if len(data) >= 4 and int.from_bytes(data[:4], "big") == len(data) - 4:
                return data[4:]
            if not data:
                return None
            self._ahead = data
        head = self._read(4)
        if head is None:
            return None
        size = int.from_bytes(head, "big")
        if size > MAX_FRAME:
            raise ChannelError(f"a frame of {size} bytes")
        return self._read(size)

    def pending(self) -> bool:
        """Is there a whole frame that was read ahead?"""
        return len(self._ahead) >= 4 and len(self._ahead) - 4 >= int.from_bytes(self._ahead[:4], "big")

    def _read(self, size: int) -> bytes | None:
        if len(self._ahead) < size:
            parts = [self._ahead]
            missing = size - len(self._ahead)
            while missing > 0:
                part = os.read(self.fd, max(missing, 65536))
                if not part:
                    return None
                parts.append(part)
                missing -= len(part)
            self._ahead = b"".join(parts)
        frame, self._ahead = self._ahead[:size], self._ahead[size:]
        return frame
