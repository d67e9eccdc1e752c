"""`cnnviz export`: export a run's network to ONNX, .pt2, .pth, or plain PyTorch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Export formats, as in `cnnviz.inference.export.FORMATS`."""

    ONNX = "onnx"
    PT2 = "pt2"
    PTH = "pth"
    PYTHON = "python"


ENDINGS = {
    ".onnx": Format.ONNX,
    ".pt2": Format.PT2,
    ".pth": Format.PTH,
    ".pt": Format.PTH,
    ".py": Format.PYTHON,
}
"""Format by file extension of the output."""


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("export", help="Write a run's network for use without cnnviz: ONNX, .pt2, .pth, or PyTorch.")(
        export
    )


def export(
    run: Annotated[int, typer.Argument(metavar="RUN", help="A run's number.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="By default what the file's ending says.")
    ] = None,
    which: Annotated[str, typer.Option("--checkpoint", help="last or best.")] = "last",
) -> None:
    """Write the exported network; plain PyTorch code comes with its weights in a second file."""
    from cnnviz import tracking
    from cnnviz.inference import export as exporting
    from cnnviz.inference.weights.loaders import from_run

    kind = form or ENDINGS.get(output.suffix.lower())
    if kind is None:
        raise ValueError(f"Which format? Give --format {'|'.join(Format)}, or an output such as model.onnx.")
    with tracking.connect() as database:
        loaded = from_run(database, run, which)
    exported = exporting.export(loaded, kind.value, output.stem)
    for number, (ending, content) in enumerate(exported.files.items()):
        path = output if number == 0 else output.with_suffix(ending)
        path.write_bytes(content)
        typer.echo(f"{path} ({len(content):,} bytes)")
    for note in exported.notes:
        typer.echo(note)
