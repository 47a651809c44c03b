"""What a model's name says: an id on the Hub or a path of this machine, and which commit of it was loaded."""

from __future__ import annotations

import re
from pathlib import Path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_hub_id(name: str) -> bool:
    """Whether `name` is a Hub id rather than a path of this machine."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def cached_revision(model: str, revision: str | None = None) -> str | None:
    """Commit of a Hub model that was just loaded, as the cache knows it; None for folders, or when nothing is cached.

    transformers 5 no longer keeps the commit in the configuration of a model.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, "config.json", revision=revision) if is_hub_id(model) else None
    found = re.search(r"/snapshots/([0-9a-f]{40})/", Path(path).as_posix()) if isinstance(path, str) else None
    return found.group(1) if found else None
