"""`cnnviz predict` and `export`: use a trained network here, or write it for use elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnviz.cli.options import (
    CHANGES,
    AboutWeights,
    Center,
    CheckpointName,
    ClassNames,
    Invert,
    Mean,
    ModelName,
    ModelOptions,
    RunNumber,
    Std,
    WeightsFile,
    changed,
    load_model,
)
from cnnviz.cli.output import Bar, table
from cnnviz.sentences import percent

if TYPE_CHECKING:
    from cnnviz.inference.predict import Result
    from cnnviz.inference.weights.loaded_model import Loaded


REFUSED = 1
"""Exit code if some files could not be read; 0 if all could."""


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("predict", help="Ask a model what images show: files, folders, zips.")(predict)
    app.command("export", help="Write a run's network for use without cnnviz: ONNX, .pt2, .pth, or PyTorch.")(
        export
    )


def predict(
    pictures: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="What to look at.")],
    run: RunNumber = None,
    checkpoint: CheckpointName = None,
    model: ModelName = None,
    weights: WeightsFile = None,
    option: ModelOptions = None,
    classes: ClassNames = None,
    mean: Mean = None,
    std: Std = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes are named.")] = 5,
    invert: Invert = False,
    center: Center = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the top classes of every image."""
    loaded = changed(
        load_model(run, checkpoint, model, weights, option, AboutWeights(classes, mean, std)),
        invert=invert,
        center=center,
    )
    from cnnviz.inference import evaluate
    from cnnviz.inference.images.read_image import Refusal, from_paths
    from cnnviz.inference.predict import Predictor

    with Bar() as bar:
        results = Predictor(loaded).predict([*from_paths(pictures)], top, bar)
    typer.echo(evaluate.as_json(results).decode() if as_json else _text(loaded, results))
    if any(isinstance(result, Refusal) for result in results):
        raise typer.Exit(REFUSED)


def _text(loaded: Loaded, results: list[Result]) -> str:
    from cnnviz.inference.evaluate import evaluate
    from cnnviz.inference.images.read_image import Refusal

    lines = [
        (result.name, result.reason)
        if isinstance(result, Refusal)
        else (result.name, ", ".join(f"{name} {percent(share, 1)}" for name, share in result.top))
        for result in results
    ]
    paragraphs = [f"{loaded.name}, from {loaded.source}", *loaded.notes, "", table(("file", "answer"), lines)]
    evaluation = evaluate(results, loaded.classes)
    if evaluation.accuracy is not None:
        paragraphs.append(
            f"\n{evaluation.right} of {evaluation.counted} are right ({percent(evaluation.accuracy, 1)})."
        )
    paragraphs += _hints(results)
    return "\n".join(paragraphs)


def _hints(results: list[Result]) -> list[str]:
    """Describe how the images differ from the training images, one line per kind of difference."""
    from cnnviz.inference.images.preprocessing_trace import grouped
    from cnnviz.inference.images.read_image import Refusal

    answered = [result for result in results if not isinstance(result, Refusal)]
    lines = []
    for hint, count, first in grouped((result.name, result.hints) for result in answered):
        option = f" (here: {CHANGES[hint.change]})" if hint.change in CHANGES else ""
        of = "" if len(answered) == 1 else f" for {count:,} of {len(answered):,} images, {first} first"
        lines.append(f"\nHint{of}: {hint.text}{option}")
    return lines


# Export to ONNX, .pt2, .pth, or plain PyTorch.


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
