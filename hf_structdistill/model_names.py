"""What a model's name says: an id on the Hub or a path of this machine, and which commit or weights of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_SAMPLE_BYTES = 1 << 20
_ABOUT_THE_MODEL = {"card_facts.json"}  # written with a card, after the weights and as often as one likes


def is_hub_id(name: str) -> bool:
    """Whether `name` is a Hub id rather than a path of this machine."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def served_name(name: str) -> str:
    """The name an endpoint knows a model by; where that is a path of the server, its last part."""
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("/", ".", "~")) else name


def cached_revision(model: str, revision: str | None = None) -> str | None:
    """Commit of a Hub model that was just loaded, as the cache knows it; None for folders, or when nothing is cached.

    transformers 5 no longer keeps the commit in the configuration of a model.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, "config.json", revision=revision) if is_hub_id(model) else None
    found = re.search(r"/snapshots/([0-9a-f]{40})/", Path(path).as_posix()) if isinstance(path, str) else None
    return found.group(1) if found else None


def model_fingerprint(name: str) -> str:
    """Tells a retrained folder from the one before: a hash over its configuration and parts of its weights.

    Reads the first, middle and last MiB of each weight file, so that an 8B model takes no minute.
    """
    folder = Path(name)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".bin", ".json") and path.name not in _ABOUT_THE_MODEL and path.is_file():
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with open(path, "rb") as file:
                for start in sorted({0, max(0, size // 2), max(0, size - _SAMPLE_BYTES)}):
                    file.seek(start)
                    digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
