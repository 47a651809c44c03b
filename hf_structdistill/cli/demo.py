"""`structdistill demo`: the whole path offline, on two CPU cores: problems, traces, two students, scores, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

HELP = """Run the whole path offline: problems, traces, two students, scores, report.

Generated and built-in problems are answered by a scripted teacher, verified in the sandbox, and used to train the same
small student twice from scratch, with the same data, steps and seed: by TRL's SFTTrainer and by StructureAwareTrainer.
Both solve held-out problems; whatever comes out is reported as it is. Takes some minutes on two CPU cores. Running it
again with the same --out continues where it stopped.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo", help=HELP)(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that is written.")] = Path("demo-output"),
    listops: Annotated[int, typer.Option(min=8, help="Generated training problems.")] = 1280,
    seed_problems: Annotated[int, typer.Option(min=1, max=240, help="Built-in training problems.")] = 12,
    held_out: Annotated[int, typer.Option(min=4, help="Generated test problems; 60 built-in ones are added.")] = 150,
    epochs: Annotated[float, typer.Option(min=0.01, help="Passes over the training examples.")] = 5.0,
    width: Annotated[int, typer.Option(min=16, help="Hidden size of the student, a multiple of 16.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the student's weights and of the order of the data.")] = 0,
) -> None:
    """Run the demo."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the demo must not reach for the network
    # Threads that spin while waiting slow a busy machine several times over; read once, when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from ..errors import InputError
    from ._demo_run import DemoSettings, run_demo

    if width % 16:
        raise InputError(f"--width must be a multiple of 16; found {width}.")
    run_demo(DemoSettings(listops, seed_problems, held_out, epochs, width, seed), out)
