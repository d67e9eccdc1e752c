"""`cnnviz runs export`: a run as JSON, CSV, one HTML file, or its weights alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cnnviz.tracking import Database

_HELP = (
    "A run to keep or hand on: everything (json), its metric rows (csv), a report that opens in any browser "
    "(html), or the model's weights alone (weights, a safetensors file)."
)


class Format(StrEnum):
    """What a run can be written as."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    WEIGHTS = "weights"


class Kind(StrEnum):
    """Which checkpoint the weights are of."""

    LAST = "last"
    BEST = "best"


def register(runs: typer.Typer) -> None:
    """Add the command."""
    runs.command("export", help=_HELP)(export)


def export(
    run: Annotated[int, typer.Argument(metavar="RUN", help="The run's number (see `cnnviz runs list`).")],
    wanted: Annotated[Format, typer.Option("--format", help="What it is written as.")] = Format.JSON,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    checkpoint: Annotated[
        Kind, typer.Option(help="Which weights: the last, or the best by validation.")
    ] = Kind.LAST,
    output: Annotated[
        Path | None,
        typer.Option(help="A file instead of the terminal; weights go to a file named by the run."),
    ] = None,
) -> None:
    """Write a run out."""
    from cnnviz import tracking

    if as_json and wanted is not Format.JSON:
        raise ValueError(f"Choose one of --json and --format {wanted.value}.")
    with tracking.connect() as database:
        found = tracking.get_run(database, run)
        if wanted is Format.WEIGHTS:
            from cnnviz.inference.taking import take_weights, weights_name

            path = output or Path(weights_name(found, checkpoint.value))
            path.write_bytes(take_weights(database, run, checkpoint.value))
            typer.echo(str(path))
            return
        pieces = _pieces(database, run, wanted)
        if output is None:
            # A file's content, to the letter, whatever the terminal's encoding.
            sys.stdout.flush()
            sys.stdout.buffer.writelines(piece.encode() for piece in pieces)
            return
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)


def _pieces(database: Database, run: int, wanted: Format) -> Iterator[str]:
    from cnnviz import tracking

    if wanted is Format.HTML:
        from cnnviz.figures.report import html_report

        return iter([html_report(database, run)])
    return (tracking.to_csv if wanted is Format.CSV else tracking.to_json)(database, run)
