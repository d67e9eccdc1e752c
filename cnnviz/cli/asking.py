"""`cnnviz runs stop|pause|resume`: the wish goes into the run database, as a page's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import orjson
import typer

_HELP = {
    "stop": "Stop a run; what it has learnt is kept, and it can be resumed.",
    "pause": "Pause a run: its worker writes a checkpoint and leaves.",
    "resume": "Queue a run again, from its last checkpoint.",
}
_DONE = {
    "stop": ("stopped", "interrupted", "failed", "paused"),
    "pause": ("stopped", "interrupted", "failed", "paused"),
    "resume": (),
}
"""What a run whose process turns out to have ended may be without anything left to ask of it."""
NO_SUPERVISOR = "No supervisor is at work here: start the app (`make app`) or `python -m cnnviz work`."


def register(runs: typer.Typer) -> None:
    """Add the commands."""
    for name, help_text in _HELP.items():
        runs.command(name, help=help_text)(_command(name))


def _command(name: str) -> Callable[[int, bool], None]:
    def ask(
        run: Annotated[int, typer.Argument(metavar="RUN", help="The run's number (see `cnnviz runs list`).")],
        as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    ) -> None:
        from cnnviz import tracking
        from cnnviz.training.supervisor import reconcile, supervised

        with tracking.connect() as database:
            ended = run in reconcile(database)
            status = tracking.get_run(database, run).status
            if not (ended and status in _DONE[name]):
                status = tracking.request(database, run, tracking.Command(name))
            at_work = supervised(database)
        if as_json:
            found = {"id": run, "status": status.value, "supervised": at_work}
            typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
            return
        if ended:
            typer.echo(f"The process that trained run {run} had ended.")
        asked = f" and was asked to {name}" if status in tracking.ACTIVE else ""
        typer.echo(f"Run {run} is {status}{asked}.")
        if status is tracking.Status.QUEUED and not at_work:
            typer.echo(NO_SUPERVISOR)

    return ask
