"""A model named on a command line: what the argument may be, how it is read, and its structural faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnnviz import models
from cnnviz.analysis.checks import Problem
from cnnviz.models.layers import LayerList

MODEL_HELP = "A name (see `cnnviz models`), a layer list (FILE.json), or FILE.py:CLASS_OR_FUNCTION."


def resolve_model(name: str) -> str | models.ModelSpec | LayerList:
    """Read what a command line names as a model: a file, or a name that the registry knows."""
    if name.endswith(".json"):
        return LayerList.read(Path(name).read_bytes())
    if ".py:" in name:
        from cnnviz.models.files import from_file

        return from_file(name)
    return name


def parse_size(text: str | None) -> int | tuple[int, ...] | None:
    """Read `32`, `224x320` or `1x28x28` (channels first); raises `ValueError` for anything else."""
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 3 or not all(side.isascii() and side.isdigit() for side in sides):
        raise ValueError(
            f"An input size is a side, HxW or CxHxW in pixels, as 32, 224x320 or 1x28x28, not {text!r}."
        )
    return int(sides[0]) if len(sides) == 1 else tuple(map(int, sides))


def problem_lines(problems: Sequence[Problem], name: str) -> list[str]:
    """Write errors and warnings as a line each, for commands that do something else; notes stay out."""
    lines = [f"{one.severity}: {one.message} ({one.check})" for one in problems if one.severity != "note"]
    return [*lines, f"More about it: cnnviz check {name}"] if lines else []
