"""`cnnviz work`: supervise queued runs without the app."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cnnviz.training.workers import Launcher


def register(app: typer.Typer) -> None:
    """Register the command."""
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
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Train on a Ray cluster: auto on one of its nodes, or HOST:6379."
        ),
    ] = None,
    ray_cores: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Cores of the cluster that a run on the CPU gets."),
    ] = None,
) -> None:
    """Supervise until Ctrl-C; runs in progress continue."""
    from cnnviz import tracking
    from cnnviz.training.workers import Supervisor

    _check_devices(device)
    launcher = _cluster(ray, ray_cores)
    for name in model or []:
        _register_code(name)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cnnviz").setLevel(logging.INFO)
    with tracking.connect() as database:
        where = f" on the Ray cluster {ray}" if ray else ""
        typer.echo(f"Training what is queued in {database.where}{where}; Ctrl-C ends this, not the runs.")
    ended = threading.Event()

    def end(number: int, frame: Any) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    supervisor = Supervisor(launcher=launcher, devices=device or None, allow_code=allow_code)
    supervisor.start()
    ended.wait()
    supervisor.stop()


def _cluster(address: str | None, cores: int | None) -> Launcher | None:
    """Return the launcher of a Ray cluster, or None if no address is given.

    Raises:
        ValueError: `cores` is given without `address`.
    """
    if address is None:
        if cores is not None:
            raise ValueError("--ray-cores says what a run gets of a Ray cluster; add --ray ADDRESS.")
        return None
    from cnnviz.training.workers.ray_cluster import RayLauncher

    return RayLauncher(address, cores)


def _check_devices(names: list[str] | None) -> None:
    """Raise `ValueError` for a string that is not a device name."""
    import re

    for name in names or []:
        if re.fullmatch(r"cpu|mps|cuda:[0-9]{1,3}", name) is None:
            raise ValueError(f"'{name[:40]}' is no device; a device is cpu, mps, or cuda:0 and so on.")


def _register_code(name: str) -> None:
    """Register a user's model file, as `cnnviz app --model` does, and keep a copy of it for the workers."""
    from cnnviz.models.user_code import registration

    registration.save_copy(registration.add(name).name)
