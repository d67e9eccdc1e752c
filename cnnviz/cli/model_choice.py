"""The options that name a trained model, and the model that they name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cnnviz.inference.loaded import Loaded

RunNumber = Annotated[int | None, typer.Option("--run", metavar="ID", help="A run's last checkpoint.")]
CheckpointName = Annotated[
    str | None, typer.Option("--checkpoint", metavar="NAME", help="A checkpoint that ships with cnnviz.")
]
ModelName = Annotated[
    str | None, typer.Option("--model", metavar="M", help="A model, whose --weights are given.")
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
"""Fields of the preprocessing that a command line can change, and how."""


def changed(loaded: Loaded, *, invert: bool, center: bool) -> Loaded:
    """The model with its preprocessing changed as the options say."""
    changes = {name: True for name, on in (("invert", invert), ("centre", center)) if on}
    return replace(loaded, preprocessing=loaded.preprocessing.changed(**changes)) if changes else loaded


def load_model(run: int | None, checkpoint: str | None, model: str | None, weights: Path | None) -> Loaded:
    """The one model that a command line names; raises `ValueError` where it names none or several."""
    ways = (run is not None, checkpoint is not None, model is not None or weights is not None)
    if sum(ways) != 1:
        raise ValueError("Name one model: --run ID, or --checkpoint NAME, or --model M --weights FILE.")
    from cnnviz import tracking
    from cnnviz.inference import files, shipped
    from cnnviz.inference.runs import from_run

    if run is not None:
        with tracking.connect() as database:
            return from_run(database, run)
    if checkpoint is not None:
        return shipped.load(checkpoint)
    if weights is None:
        raise ValueError(f"Which weights of {model}? Give --weights FILE.")
    return files.from_file(weights, model)
