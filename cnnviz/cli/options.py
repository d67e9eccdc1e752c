"""Options shared by several commands: `K=V` pairs, a trained model, a model argument."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cnnviz import models
from cnnviz.analysis.checks import Problem
from cnnviz.models.external.onnx_network import DATA_ONLY
from cnnviz.models.layers import LayerList
from cnnviz.models.user_code import registration

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded

# K=V pairs.


def pairs(given: Sequence[str], example: str) -> dict[str, str]:
    """Parse `K=V` arguments into a dictionary.

    Args:
        given: The arguments.
        example: An example for the error message.

    Raises:
        ValueError: An argument has no equals sign.
    """
    wrong = next((pair for pair in given if "=" not in pair), None)
    if wrong is not None:
        raise ValueError(f"An option is given as K=V, as {example}, not {wrong!r}.")
    return dict(pair.split("=", 1) for pair in given)


# Options that select a trained model.

RunNumber = Annotated[int | None, typer.Option("--run", metavar="ID", help="A run's last checkpoint.")]
CheckpointName = Annotated[
    str | None, typer.Option("--checkpoint", metavar="NAME", help="A checkpoint that ships with cnnviz.")
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="A model or FILE.py:CLASS, with --weights; or FILE.onnx."),
]
ClassNames = Annotated[
    Path | None,
    typer.Option("--classes", metavar="FILE", help="Class names of the weights, one a line, or JSON."),
]
Mean = Annotated[
    str | None,
    typer.Option(metavar="M", help="Mean that the weights' pixels, 0 to 1, were less, by channel."),
]
Std = Annotated[str | None, typer.Option(metavar="S", help="Standard deviation they were divided by.")]


class AboutWeights(NamedTuple):
    """Facts about weights from the command line.

    They are stored beside the file, so they are given only once.
    """

    classes: Path | None
    mean: str | None
    std: str | None


ModelOptions = Annotated[
    list[str] | None, typer.Option("--option", metavar="K=V", help="An option of the model.")
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights: safetensors, or a PyTorch state dict."),
]

Invert = Annotated[bool, typer.Option("--invert", help="Exchange light and dark first, as for ink on paper.")]
Center = Annotated[
    bool,
    typer.Option("--center", "--centre", help="Cut out what is light and center it, as MNIST's digits were."),
]
CHANGES = {"invert": "--invert", "centre": "--center"}
"""Preprocessing fields that a command line can change, with their options."""


def changed(loaded: Loaded, *, invert: bool, center: bool) -> Loaded:
    """Return the model with its preprocessing changed as the options say."""
    changes = {name: True for name, on in (("invert", invert), ("centre", center)) if on}
    return replace(loaded, preprocessing=loaded.preprocessing.changed(**changes)) if changes else loaded


def load_model(
    run: int | None,
    checkpoint: str | None,
    model: str | None,
    weights: Path | None,
    options: Sequence[str] | None = None,
    about: AboutWeights | None = None,
) -> Loaded:
    """Load the one model that a command line names.

    Raises:
        ValueError: The options name no model, or several.
    """
    chosen, given_name = None, model or ""
    if model is not None:
        model, chosen = named_model(model, options)
    ways = (run is not None, checkpoint is not None, model is not None or weights is not None)
    if sum(ways) != 1:
        raise ValueError("Name one model: --run ID, or --checkpoint NAME, or --model M --weights FILE.")
    from cnnviz import tracking
    from cnnviz.inference.weights import bundled, loaders, weights_facts
    from cnnviz.inference.weights.loaders import from_run

    if run is not None:
        with tracking.connect() as database:
            return from_run(database, run)
    if checkpoint is not None:
        return bundled.load(checkpoint)
    if weights is None and model is not None and DATA_ONLY in models.get(model).tags:
        return _of_data_file(given_name, model, about)
    if weights is None:
        raise ValueError(f"Which weights of {model}? Give --weights FILE.")
    path = weights_facts.locate_weights(weights)
    known = weights_facts.read_stored(path)
    facts = weights_facts.merge_facts(about.classes, about.mean, about.std, known) if about else known
    loaded = loaders.from_path(path, model, chosen, facts)
    if facts != known:
        weights_facts.save_beside(path, facts)
    return loaded


def _of_data_file(given_name: str, model: str, about: AboutWeights | None) -> Loaded:
    """Load an ONNX file with its class names and normalization, which are stored beside it."""
    from cnnviz.inference.weights import loaders, weights_facts
    from cnnviz.models import external as data_files

    path = data_files.DataFile.read(given_name).path if data_files.is_data_file(given_name) else None
    known = weights_facts.read_stored(path) if path else weights_facts.WeightsFacts()
    facts = weights_facts.merge_facts(about.classes, about.mean, about.std, known) if about else known
    loaded = loaders.with_facts(loaders.fresh(model), facts)
    if path and facts != known:
        weights_facts.save_beside(path, facts)
    return loaded


def named_model(
    name: str, options: Sequence[str] | None, check: Callable[[models.ModelSpec], None] | None = None
) -> tuple[str, dict[str, str]]:
    """Resolve a model argument to its registry name and remaining options.

    A user's own file is registered.

    Args:
        name: The argument.
        options: `K=V` arguments.
        check: Raises `ValueError` for a network that the command refuses, before its notes are printed.
    """
    chosen = pairs(options or [], "activation=tanh")
    if not registration.is_named(name):
        return name, chosen
    before = os.environ.get(registration.VARIABLE)
    spec = registration.add(name, chosen)
    if check is not None:
        check(spec)
    known = os.environ[registration.VARIABLE] == before
    for note in () if known else spec.notes:
        typer.echo(f"cnnviz: {note}", err=True)
    return spec.name, {}


# Model argument: its syntax, its resolution, and the model's structural problems.

MODEL_HELP = "A name (see `cnnviz models`), a layer list (FILE.json), FILE.py:CLASS, FILE.onnx or FILE.keras."


def resolve_model(name: str, options: Mapping[str, str] | None = None) -> str | models.ModelSpec | LayerList:
    """Resolve a model argument: a file, or a name in the registry.

    Args:
        name: The argument.
        options: Constructor arguments of a user's own network, in place of its defaults.
    """
    if name.endswith(".json"):
        return LayerList.read(Path(name).read_bytes())
    if registration.is_named(name):
        return registration.from_text(name, options)
    return name


def parse_size(text: str | None) -> int | tuple[int, ...] | list[tuple[int, ...]] | None:
    """Parse `32`, `224x320` or `1x28x28` (channels first), or several separated by commas.

    Raises:
        ValueError: The text is not an input size.
    """
    if text is None:
        return None
    if "," in text:
        sizes = [parse_size(part) for part in text.split(",")]
        return [(size,) if isinstance(size, int) else tuple(size or ()) for size in sizes]  # type: ignore[arg-type]
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 3 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise ValueError(
            f"An input size is a side, HxW or CxHxW in pixels, as 32, 224x320 or 1x28x28, not {text!r}."
        )
    return int(sides[0]) if len(sides) == 1 else tuple(map(int, sides))


def problem_lines(problems: Sequence[Problem], name: str) -> list[str]:
    """Format errors and warnings as one line each, for commands that do something else; notes are omitted."""
    lines = [
        f"{problem.severity}: {problem.message} ({problem.check})"
        for problem in problems
        if problem.severity != "note"
    ]
    return [*lines, f"More about it: cnnviz check {name}"] if lines else []
