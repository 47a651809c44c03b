"""The `structdistill` command: one file a subcommand, heavy imports inside the functions."""

from .main import main

__all__ = ["main"]
