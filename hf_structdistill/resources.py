"""Finds the folders that live at the top of the repository and ship inside the wheel."""

from pathlib import Path

from .errors import InputError


def shipped_folder(name: str) -> Path:
    """Return the folder `name` (`"metrics"`, `"model_cards"`, `"recipes"`), from the wheel or from the checkout.

    Raises:
        InputError: the folder is in neither place (a broken installation).
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise InputError(f"The folder '{name}' is missing from the installation; reinstall hf-structdistill.")
