"""`cnnviz work`: supervise runs without the app."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("work", help="Train what is queued, without the app, until Ctrl-C.")(work)


def work(
    device: Annotated[
        list[str] | None,
        typer.Option(help="A device that it may use, such as cpu or cuda:1; all of the machine by default."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A network of your own whose runs it trains too, such as net.py:Net."),
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Train networks of others' own code, whatever it does.")
    ] = False,
) -> None:
    """Supervise until Ctrl-C; a run that trains then goes on."""
    from cnnviz import tracking
    from cnnviz.training.workers import Supervisor

    _check_devices(device)
    for name in model or []:
        _keep_code(name)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cnnviz").setLevel(logging.INFO)
    with tracking.connect() as database:
        typer.echo(f"Training what is queued in {database.where}; Ctrl-C ends this, not the runs.")
    ended = threading.Event()

    def end(number: int, frame: Any) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    supervisor = Supervisor(devices=device or None, allow_code=allow_code)
    supervisor.start()
    ended.wait()
    supervisor.stop()


def _check_devices(names: list[str] | None) -> None:
    """Raise `ValueError` for a name that no device has."""
    import re

    for name in names or []:
        if re.fullmatch(r"cpu|mps|cuda:[0-9]{1,3}", name) is None:
            raise ValueError(f"'{name[:40]}' is no device; a device is cpu, mps, or cuda:0 and so on.")


def _keep_code(name: str) -> None:
    """Take a file of the user's, as `cnnviz app --model` does, and keep a copy for the workers."""
    from cnnviz.models.user_code import registration

    registration.keep_copy(registration.add(name).name)
