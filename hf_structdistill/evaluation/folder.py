"""The output folder of a command."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError


def make_folder(out: str | Path, option: str = "--out") -> Path:
    """Create an output folder, and make sure before hours of work that it can be written.

    Raises:
        InputError: it cannot; names `option`, which the user gave it by.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"Folder '{out}' cannot be written ({error.strerror}); give another {option}.") from error
    return folder
