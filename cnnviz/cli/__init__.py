"""Command line `cnnviz`: registers the commands; errors become one line on stderr and exit code 2.

The commands are in `commands`, one file each or per group, discovered automatically.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

import typer

from cnnviz import __version__
from cnnviz.cli import commands
from cnnviz.cli.output import accept_any_character
from cnnviz.sentences import full_stop

WRONG_USE = 2
# Typer does not export its vendored click; this is click's UsageError, the base of all usage errors.
_UsageError: Any = typer.BadParameter.__base__


def build() -> typer.Typer:
    """Build the application with every command in `cnnviz.cli.commands`."""
    app = typer.Typer(
        name="cnnviz",
        help="See a convolutional network: its layers, its parameters, what they cost.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
    )

    @app.callback(invoke_without_command=True)
    def version(show: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
        if show:
            typer.echo(__version__)
            raise typer.Exit

    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"{commands.__name__}.{module.name}").register(app)
    app.registered_commands.sort(key=lambda command: command.name or "")
    app.registered_groups.sort(key=lambda group: str(group.name))
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default the process's own) and return its exit code."""
    accept_any_character(sys.stdout)
    accept_any_character(sys.stderr)
    command = typer.main.get_command(build())
    try:
        code = command.main(
            args=None if arguments is None else list(arguments), prog_name="cnnviz", standalone_mode=False
        )
    except _UsageError as error:
        return _fail(str(error.format_message()))
    except (typer.Abort, KeyboardInterrupt):
        return _fail("Stopped.")
    except BrokenPipeError:
        # The reader (such as `head`) closed the pipe; redirect so that closing stdout at exit does not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ValueError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(full_stop(f"{error.filename or 'The system'}: {error.strerror or error}"))
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    print(f"cnnviz: {' '.join(message.split())}", file=sys.stderr)
    return WRONG_USE
