"""`cnnviz work`: supervise runs without the app."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("work", help="Train what is queued, without the app, until Ctrl-C.")(work)


def work() -> None:
    """Supervise until Ctrl-C; a run that trains then goes on."""
    from cnnviz import tracking
    from cnnviz.training.workers import Supervisor

    logging.basicConfig(format="%(message)s")
    logging.getLogger("cnnviz").setLevel(logging.INFO)
    with tracking.connect() as database:
        typer.echo(f"Training what is queued in {database.where}; Ctrl-C ends this, not the runs.")
    ended = threading.Event()

    def end(number: int, frame: Any) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    supervisor = Supervisor()
    supervisor.start()
    ended.wait()
    supervisor.stop()
