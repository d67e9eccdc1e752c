"""`cnnviz predict`, `features` and `export`: use a trained network, see into it, write it for elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
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
    named_model,
)
from cnnviz.cli.output import Bar, table
from cnnviz.datasets import Step
from cnnviz.sentences import percent

if TYPE_CHECKING:
    from cnnviz.inference.images.preprocessing_trace import Step as Traced
    from cnnviz.inference.predict import Result
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.interpret.attribution import Attribution
    from cnnviz.interpret.colormaps import Bytes
    from cnnviz.interpret.mosaic import Floats


REFUSED = 1
"""Exit code if some images could not be read; 0 if all could."""


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("predict", help="Ask a model what images show: files, folders, zips.")(predict)
    app.command("export", help="Write a run's network for use without cnnviz: ONNX, .pt2, .pth, or PyTorch.")(
        export
    )
    app.command("features", help="Look inside: a layer's maps of an image, or what speaks for a class.")(
        features
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


# Feature maps of a layer for an image, or an attribution of a class to its pixels.

WIDE = 800
"""Approximate width of a written image in pixels, reached by an integer zoom factor."""


class Attributing(StrEnum):
    """Attribution methods, as in `cnnviz.interpret.attribution.METHODS`."""

    GRADCAM = "gradcam"
    SALIENCY = "saliency"
    GUIDED = "guided-backprop"
    SMOOTHGRAD = "smoothgrad"
    INTEGRATED = "integrated-gradients"
    OCCLUSION = "occlusion"


class Ordering(StrEnum):
    """Orders of channels, as in `cnnviz.interpret.mosaic.ORDERS`."""

    INDEX = "index"
    ACTIVITY = "activity"
    SPREAD = "spread"
    SIMILARITY = "similarity"


def features(
    picture: Annotated[Path, typer.Argument(metavar="IMAGE", help="What to look at.")],
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A layer's name, as `cnnviz summary` lists them.")
    ] = None,
    run: RunNumber = None,
    checkpoint: CheckpointName = None,
    model: ModelName = None,
    weights: WeightsFile = None,
    option: ModelOptions = None,
    classes: ClassNames = None,
    mean: Mean = None,
    std: Std = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an image of it.")] = None,
    npz: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the values: `activations` (C, H, W), float32.")
    ] = None,
    order: Annotated[Ordering, typer.Option(help="How the image orders channels.")] = Ordering.INDEX,
    attribution: Annotated[
        Attributing | None, typer.Option(help="Instead: which pixels speak for a class.")
    ] = None,
    target: Annotated[
        int | None, typer.Option("--class", metavar="N", help="That class, from 0; the likeliest by default.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="An attribution of every image of a folder or zip, written there."
        ),
    ] = None,
    invert: Invert = False,
    center: Center = False,
) -> None:
    """Write a layer's feature maps or an attribution of an image.

    With --into, attributions of a whole folder.
    """
    if into is not None and (attribution is None or png is not None or npz is not None):
        raise ValueError("--into goes with --attribution, and takes the place of --png and --npz.")
    if attribution is None and layer is None:
        raise ValueError("Name a layer: --layer NAME; `cnnviz summary MODEL` lists them.")
    if attribution is None and target is not None:
        raise ValueError("--class belongs to --attribution; a layer's maps are the same for every class.")
    loaded = changed(
        _loaded(run, checkpoint, model, weights, option, AboutWeights(classes, mean, std)),
        invert=invert,
        center=center,
    )
    if into is not None and attribution is not None:
        _attribute_all(loaded, picture, (attribution, target, layer), into)
        return
    shown = _read(picture, loaded)
    typer.echo("\n".join((f"{loaded.name}, from {loaded.source}", *loaded.notes)))
    if attribution is not None:
        _attribute(loaded, shown, (attribution, target, layer), png, npz)
    else:
        _activate(loaded, shown, layer or "", order, png, npz)


def _loaded(
    run: int | None,
    checkpoint: str | None,
    model: str | None,
    weights: Path | None,
    option: list[str] | None,
    about: AboutWeights,
) -> Loaded:
    if model is not None and (run, checkpoint, weights) == (None, None, None):
        from cnnviz.inference.weights.loaders import fresh
        from cnnviz.models.external import is_data_file

        name, options = named_model(model, option)
        if not is_data_file(model):
            return fresh(name, options=options)
    return load_model(run, checkpoint, model, weights, option, about)


def _read(path: Path, loaded: Loaded) -> Traced:
    """Read and preprocess an image; return the last preprocessing step, which has the input tensor."""
    from cnnviz.inference.images.preprocessing_trace import steps
    from cnnviz.inference.images.read_image import Picture, Refusal, Upload, from_paths, read

    images = list(from_paths([path]))
    if len(images) > 1:
        raise ValueError(f"'{path}' holds {len(images)} files; one image is looked at.")
    image = read(images[0]) if isinstance(images[0], Upload) else images[0]
    if isinstance(image, Refusal):
        typer.echo(f"cnnviz: {image.reason}", err=True)
        raise typer.Exit(REFUSED)
    assert isinstance(image, Picture)
    return steps(image, loaded.preprocessing)[-1]


def _activate(
    loaded: Loaded, shown: Traced, layer: str, order: Ordering, png: Path | None, npz: Path | None
) -> None:
    from cnnviz.interpret.hooks import feature_maps
    from cnnviz.interpret.mosaic import mosaic

    assert shown.tensor is not None
    maps = feature_maps(loaded.model, shown.tensor, layer)
    typer.echo(_about_maps(layer, maps))
    if png is not None:
        plain = mosaic(maps, order.value)
        zoom = max(1, WIDE // plain.pixels.shape[1])
        png.write_bytes(mosaic(maps, order.value, zoom=zoom, columns=plain.columns).png())
    if npz is not None:
        _save(npz, activations=maps, input=shown.tensor[0].numpy())


def _about_maps(layer: str, maps: Floats) -> str:
    from cnnviz.interpret.mosaic import constant_maps

    count, height, width = maps.shape
    dead = int((maps == 0).all(axis=(1, 2)).sum())
    what = f"{layer or 'The model'}: {count:,} maps of {height}×{width}"
    text = f"{what}, from {maps.min():.4g} to {maps.max():.4g}, {dead:,} of them 0 everywhere"
    constant, broken = constant_maps(maps), int((~np.isfinite(maps)).any(axis=(1, 2)).sum())
    text += f", {constant:,} with one value everywhere" if constant else ""
    return f"{text}, {broken:,} with values that are not finite numbers" if broken else text


def _attribute(
    loaded: Loaded,
    shown: Traced,
    request: tuple[Attributing, int | None, str | None],
    png: Path | None,
    npz: Path | None,
) -> None:
    from cnnviz.analysis import analyze
    from cnnviz.interpret.attribution import attribute

    assert shown.tensor is not None
    method, target, layer = request
    of_what = loaded.model if loaded.spec.description is None else loaded.spec
    analysis = analyze(of_what, loaded.input_shape) if layer is None else None
    with Bar() as bar:
        attribution = attribute(loaded.model, shown.tensor, method.value, target, layer, analysis, bar)
    name = loaded.classes[attribution.target]
    at = f" at {attribution.layer}" if attribution.layer else ""
    typer.echo(
        f"{method.value}{at} for class {attribution.target} ({name}), "
        f"which has {percent(attribution.probability, 1)}"
    )
    if attribution.blank:
        typer.echo(attribution.blank)
    if png is not None:
        png.write_bytes(_overlay_png(shown.picture, attribution))
    if npz is not None:
        _save(npz, attribution=attribution.values, input=shown.tensor[0].numpy())


def _attribute_all(
    loaded: Loaded, path: Path, request: tuple[Attributing, int | None, str | None], into: Path
) -> None:
    """Write an attribution of every image below a path, and `attributions.csv` with their classes."""
    import re

    from cnnviz.analysis import analyze
    from cnnviz.formats import csv_text
    from cnnviz.inference.images.preprocessing_trace import steps
    from cnnviz.inference.images.read_image import Refusal, Upload, from_paths, read
    from cnnviz.interpret.attribution import attribute

    method, target, layer = request
    of_what = loaded.model if loaded.spec.description is None else loaded.spec
    analysis = analyze(of_what, loaded.input_shape) if layer is None else None
    files = list(from_paths([path]))
    into.mkdir(parents=True, exist_ok=True)
    lines: list[tuple[str, ...]] = []
    refused = 0
    with Bar() as bar:
        for number, file in enumerate(files):
            bar(Step("attributing", number, len(files), "images"))
            image = read(file) if isinstance(file, Upload) else file
            if isinstance(image, Refusal):
                refused += 1
                typer.echo(f"cnnviz: {image.name}: {image.reason}", err=True)
                continue
            shown = steps(image, loaded.preprocessing)[-1]
            assert shown.tensor is not None
            attribution = attribute(loaded.model, shown.tensor, method.value, target, layer, analysis)
            stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(image.name).stem)[:80].strip("-.") or "image"
            name = f"{number + 1:04}-{stem}.png"
            (into / name).write_bytes(_overlay_png(shown.picture, attribution))
            lines.append((
                image.name, name, method.value, attribution.layer, str(attribution.target),
                loaded.classes[attribution.target], repr(attribution.probability), attribution.blank,
            ))  # fmt: skip
    head = ("file", "picture", "method", "layer", "class number", "class", "probability", "blank because")
    (into / "attributions.csv").write_text(csv_text(head, lines), encoding="utf-8")
    typer.echo(f"{len(lines):,} attributions by {method.value} are in {into}, listed in attributions.csv.")
    if refused:
        raise typer.Exit(REFUSED)


def _overlay_png(picture: Bytes, attribution: Attribution) -> bytes:
    """Overlay the attribution on the enlarged image, as PNG."""
    import io

    from PIL import Image

    from cnnviz.interpret.deletion_check import overlay

    height, width = attribution.values.shape
    zoom = max(1, WIDE // width)
    colour = np.broadcast_to(picture, (*picture.shape[:2], 3))
    large = np.asarray(
        Image.fromarray(colour).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
    )
    file = io.BytesIO()
    Image.fromarray(overlay(large, attribution.values, signed=attribution.signed)).save(file, "PNG")
    return file.getvalue()


def _save(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
