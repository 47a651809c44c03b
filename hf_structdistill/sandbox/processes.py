"""Looking at processes through /proc."""

from __future__ import annotations

import os
import signal


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


def empty(path: str) -> None:
    """Remove a file, a link or a folder with all below it, as far as that is possible; links are not followed."""
    for parent, folders, files in () if os.path.islink(path) else os.walk(path, topdown=False):
        for name in folders + files:
            remove(os.path.join(parent, name))
    remove(path)


def renew(path: str) -> None:
    """An empty folder at `path`, as far as that is possible, whatever is or is not there now."""
    if not os.path.islink(path) and os.path.isdir(path):
        os.chmod(path, 0o700)
    empty(path)
    os.makedirs(path, mode=0o700, exist_ok=True)


def remove(path: str) -> None:
    try:
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    except OSError:
        pass  # whoever asked looks whether anything is left
