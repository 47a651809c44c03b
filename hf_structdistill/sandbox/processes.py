"""Looking at processes through /proc."""

from __future__ import annotations

import os
import signal


def count_lines(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return len(file.read().splitlines())
    except OSError:
        return 0


def resident_pages(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def descendants() -> list[int]:
    """Every process below this one, by the parents that /proc names."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
    found, ahead = [], [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def empty(folder: str) -> None:
    """Remove what is in a folder, as far as that is possible; links are not followed."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files + folders:
            path = os.path.join(parent, name)
            try:
                os.unlink(path) if os.path.islink(path) or not os.path.isdir(path) else os.rmdir(path)
            except OSError:
                pass  # whoever asked looks whether anything is left
