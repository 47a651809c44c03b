"""Publishing the `evaluate` modules of metrics/ as Spaces."""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import HfApi

from ..errors import InputError
from ..resources import shipped_folder
from .cards import split_card
from .commit import CARD, Content, Publication, Repository, publish_files


def metric_names() -> list[str]:
    """The metrics that can be published."""
    return sorted(path.parent.name for path in shipped_folder("metrics").glob("*/requirements.txt"))


def publish_metrics(
    namespace: str,
    api: HfApi,
    *,
    names: Sequence[str] = (),
    public: bool = False,
    dry_run: bool = False,
) -> list[Publication]:
    """Publish each metric as a Space of `namespace`, one commit each, so that `evaluate.load("namespace/name")` works.

    Args:
        names: by default all of [`metric_names`].

    Raises:
        InputError: an unknown metric, or the Hub refuses.
    """
    known = metric_names()
    if unknown := sorted(set(names) - set(known)):
        raise InputError(f"Expected metrics among {', '.join(known)}, found {', '.join(unknown)}.")
    return [_publish(namespace, name, api, public, dry_run) for name in names or known]


def _publish(namespace: str, name: str, api: HfApi, public: bool, dry_run: bool) -> Publication:
    folder = shipped_folder("metrics") / name
    files: dict[str, Content] = {
        path.name: path for path in sorted(folder.iterdir()) if path.suffix in (".py", ".txt") and path.is_file()
    }
    card = (folder / CARD).read_text(encoding="utf-8").replace("<user>", namespace)
    return publish_files(
        api,
        Repository(f"{namespace}/{name}", "space", sdk=split_card(card)[0].get("sdk", "gradio")),
        files,
        card,
        owned=lambda path: False,
        message=f"Publish metric {name}",
        public=public,
        dry_run=dry_run,
    )
