"""Entry point of the command line: collects the subcommands and turns errors into exit codes."""

from __future__ import annotations

import logging
import signal
import sys

import typer

from ..errors import InputError

app = typer.Typer(
    name="structdistill",
    help="Distil a large code model into a small one, reasoning and structure included.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130
BAD_INPUT = 2


def _register() -> None:
    # Each module imports only the standard library and typer at the top, so that --help stays quick.
    from . import demo, embed, evaluate, publish, traces, train

    for module in (demo, traces, embed, train, evaluate, publish):
        module.register(app)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 2 bad input, 130 interrupted.

    Bad input is one line on stderr; an option that does not exist or parse is typer's box of several.
    """
    # as it is imported, bitsandbytes recommends a faster 4-bit kernel for CPUs, whether or not 4 bits are asked for
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        _register()
        app()
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer turns KeyboardInterrupt into a silent exit with this code
            _say_interrupted()
        raise


def _say_interrupted() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not break the ending
    typer.echo("interrupted; run the same command again to continue", err=True)


if __name__ == "__main__":
    main()
