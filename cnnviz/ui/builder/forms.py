"""The fields of each kind of layer as a form: what to ask, how, within which bounds, and what it means.

Fields and bounds are read off the kinds themselves, so a new kind needs no form of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from cnnviz.models.layers import KINDS, Layer

Widget = Literal["whole", "window", "units", "number", "flag", "choice", "init"]


@dataclass(frozen=True)
class Field:
    """One field of a layer. `optional` windows may be left empty."""

    name: str
    label: str
    help: str
    widget: Widget
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def secondary(self) -> bool:
        """Whether it folds away: few people need it."""
        return self.name in SECONDARY


SECONDARY = frozenset({"dilation", "groups", "bias", "init", "ceil", "eps", "momentum", "maps"})
LABELS = {
    "out": "Maps",
    "mode": "Takes the",
    "ceil": "Keep a part-filled window",
    "eps": "Epsilon",
    "p": "Probability",
    "maps": "Drop whole maps",
    "one": "1×1",
    "three_reduce": "1×1 before the 3×3",
    "three": "3×3",
    "five_reduce": "1×1 before the 5×5",
    "five": "5×5",
    "pool": "1×1 after the pooling",
    "norm": "Normalisation",
    "init": "Weights start as",
}
LABELS_OF: dict[tuple[str, str], str] = {
    ("linear", "out"): "Units",
    ("lrn", "size"): "Neighbouring maps",
    ("resize", "size"): "Size",
}
HELP = {
    "out": "How many maps it makes.",
    "kernel": "Side of the window in pixels. A larger one sees more at once; its weights grow with its area.",
    "stride": "How far the window moves at a time: 2 halves the maps, and quarters the work behind it.",
    "padding": "Rows of zeros around the maps. Half of an odd kernel, rounded down, keeps their size.",
    "dilation": "Spreads the window's pixels: 2 leaves out every other one and sees farther.",
    "groups": "Splits the maps into so many groups that do not mix; each costs its share only.",
    "bias": "A constant for every map or unit. Batch normalisation right behind makes it pointless.",
    "init": "How weights are drawn before training. It can decide whether a network learns at all.",
    "mode": "The largest value of a window keeps what stands out; the mean keeps what is common.",
    "eps": "Keeps the division safe where all values are nearly the same.",
    "function": "ReLU cuts off what is negative; tanh and sigmoid flatten what is large: slower.",
    "p": "The part of the values set to zero at random while training.",
    "size": "Pixels of each side.",
    "alpha": "How strongly neighbouring maps hold each other down.",
    "beta": "The power of the division.",
    "k": "What is added before dividing.",
    "norm": "Batch normalisation behind every convolution of the block.",
}
HELP_OF: dict[tuple[str, str], str] = {
    ("linear", "out"): "How many values it makes. The last layer has one a class.",
    ("lrn", "size"): "How many maps, side by side, share their strength.",
}


@cache
def fields_of(kind: str) -> tuple[Field, ...]:
    """The fields of a kind of layer, its name left out."""
    model: type[Layer] = KINDS[kind]
    properties = model.model_json_schema()["properties"]
    return tuple(
        _field(kind, name, schema) for name, schema in properties.items() if name not in ("name", "kind")
    )


def _field(kind: str, name: str, schema: dict[str, Any]) -> Field:
    parts = schema.get("anyOf", [schema])
    number: dict[str, Any] = next((part for part in parts if part.get("type") in ("integer", "number")), {})
    told = schema.get("description")
    return Field(
        name=name,
        label=LABELS_OF.get((kind, name), LABELS.get(name, name.replace("_", " ").capitalize())),
        help=HELP_OF.get((kind, name), told or HELP.get(name, "")),
        widget=_widget(schema, parts),
        low=number.get("minimum", number.get("exclusiveMinimum")),
        high=number.get("maximum", number.get("exclusiveMaximum")),
        choices=tuple(schema.get("enum", ())),
        optional=any(part.get("type") == "null" for part in parts),
    )


def _widget(schema: dict[str, Any], parts: list[dict[str, Any]]) -> Widget:
    if "$ref" in schema:
        return "init"
    if "enum" in schema:
        return "choice"
    types = {part.get("type") for part in parts}
    if "array" in types:
        return "window"
    if "string" in types:
        return "units"
    return {"boolean": "flag", "number": "number"}.get(schema.get("type", ""), "whole")  # type: ignore[return-value]
