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


def tasks_of(user: int) -> int:
    """Processes and threads of a user, as RLIMIT_NPROC counts them."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status", "rb") as file:
                    fields = dict(line.split(b":", 1) for line in file)
            except OSError:
                continue
            if int(fields[b"Uid"].split()[0]) == user:
                total += int(fields[b"Threads"])
    return total


def empty(path: str) -> None:
    """Remove a file, a link or a folder with all below it, as far as that is possible; links are not followed.

    Folders inside of folders are moved up to `path` first: no depth is too deep for the stack or for a path's length.
    """
    ahead, moved = inside(path), 0
    while ahead:
        item = ahead.pop()
        for inner in inside(item):
            if not is_folder(inner):
                remove(inner)
                continue
            while os.path.lexists(place := os.path.join(path, f"moved-{moved}")):
                moved += 1
            try:
                os.rename(inner, place)
            except OSError:
                continue
            ahead.append(place)
        remove(item)
    remove(path)


def is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def inside(path: str) -> list[str]:
    """The paths of what a folder holds, opened where its owner had closed it; none of what is no folder."""
    if not is_folder(path):
        return []
    try:
        os.chmod(path, 0o700)
    except OSError:
        pass  # another's; root may look all the same
    try:
        return [os.path.join(path, name) for name in os.listdir(path)]
    except OSError:
        return []


def renew(path: str) -> None:
    """An empty folder at `path`, as far as that is possible, whatever is or is not there now."""
    empty(path)
    os.makedirs(path, mode=0o700, exist_ok=True)


def remove(path: str) -> None:
    try:
        os.rmdir(path) if is_folder(path) else os.unlink(path)
    except OSError:
        pass  # whoever asked looks whether anything is left
