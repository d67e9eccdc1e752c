"""The layer list: a JSON document that builds a network without any code being run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnviz.models.layers.base import AnyShape, Layer, MisfitError
from cnnviz.models.layers.basic import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Linear,
    LocalResponseNorm,
    Pool,
    Resize,
    Softmax,
)
from cnnviz.models.layers.blocks import Inception, NaiveInception, Residual
from cnnviz.models.layers.budget import MAX_LAYERS, Budget
from cnnviz.models.layers.sentences import reading_problem
from cnnviz.models.layers.taken import TAKEN_NAMES
from cnnviz.models.limits import MAX_CLASSES, MAX_SIDE

AnyLayer = Annotated[
    Conv
    | Linear
    | Pool
    | GlobalPool
    | BatchNorm
    | LocalResponseNorm
    | Activation
    | Softmax
    | Dropout
    | Flatten
    | Resize
    | Inception
    | NaiveInception
    | Residual,
    Field(discriminator="kind"),
]
KINDS: dict[str, type[Layer]] = {
    kind.model_fields["kind"].default: kind
    for kind in (Conv, Pool, BatchNorm, Activation, Linear, Dropout, Flatten, GlobalPool, LocalResponseNorm,
                 Softmax, Inception, NaiveInception, Residual, Resize)
}  # fmt: skip
"""Every kind of layer by its identifier, in the order in which an editor offers them."""

MAX_BYTES = 1_000_000
"""Of a document; the longest that 500 layers need is a tenth of it."""


@dataclass(frozen=True)
class Step:
    """One layer in place: its unique name, what enters and leaves it, or why it does not fit."""

    name: str
    layer: Layer
    input_shape: AnyShape | None
    output_shape: AnyShape | None
    problem: str = ""
    params: int = 0


class LayerList(BaseModel):
    """A network as a list of layers, one after the other.

    `input` is `(C, H, W)`; `classes` replaces every width given as `"classes"`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cnnviz-layers/1"] = "cnnviz-layers/1"
    name: str = Field("untitled", pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.\-]{0,59}$")
    description: str = Field("", max_length=2_000)
    input: tuple[
        Annotated[int, Field(ge=1, le=64)],
        Annotated[int, Field(ge=1, le=MAX_SIDE)],
        Annotated[int, Field(ge=1, le=MAX_SIDE)],
    ]
    classes: int = Field(10, ge=1, le=MAX_CLASSES)
    layers: tuple[AnyLayer, ...] = Field((), max_length=MAX_LAYERS)

    @model_validator(mode="after")
    def _names_are_unique(self) -> LayerList:
        given = [layer.name for layer in self.layers if layer.name]
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} stands at more than one layer; each needs its own")
        reserved = sorted(TAKEN_NAMES.intersection(given))
        if reserved:
            raise ValueError(f"a layer cannot be called {reserved[0]!r}, which PyTorch needs")
        return self

    @classmethod
    def read(cls, text: str | bytes) -> LayerList:
        """Read a JSON document; raises `ValueError` with one sentence that says where and what is wrong."""
        if len(text) > MAX_BYTES:
            raise ValueError(
                f"A layer list is at most {MAX_BYTES // 1000:,} kB long, not {len(text) // 1000:,} kB."
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(reading_problem(error, KINDS)) from None

    def write(self) -> str:
        """The document as indented JSON, defaults left out."""
        kept = self.model_dump(mode="json", exclude_defaults=True)
        layers = [
            {"kind": layer.kind, **layer.model_dump(mode="json", exclude_defaults=True)}
            for layer in self.layers
        ]
        document = {"format": self.format, **kept, "layers": layers}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def names(self) -> list[str]:
        """A unique name for each layer: its own, or its kind and a number."""
        taken = {layer.name for layer in self.layers if layer.name}
        return [layer.name or _fresh(layer.kind, taken) for layer in self.layers]

    def steps(self, bounded: bool = True) -> Iterator[Step]:
        """Every layer with its shapes. After the first that does not fit, shapes are unknown (None).

        With `bounded` a layer that makes the list too large for any machine does not fit either.
        """
        shape: AnyShape | None = self.input
        budget = Budget(bounded)
        for name, layer in zip(self.names(), self.layers, strict=True):
            if shape is None:
                yield Step(name, layer, None, None)
                continue
            try:
                out = tuple(self.classes if side == -1 else side for side in layer.output(shape))
                params = layer.params(shape, self.classes)
                budget.spend(params, out)
            except MisfitError as error:
                yield Step(name, layer, shape, None, str(error))
                shape = None
                continue
            yield Step(name, layer, shape, out, params=params)
            shape = out

    def problem(self, bounded: bool = True) -> str:
        """Why the list cannot be built, in one sentence; empty where it can. `bounded` as for `steps`."""
        if not self.layers:
            return "The list is empty; add a first layer."
        steps = list(self.steps(bounded))
        broken = next((step for step in steps if step.problem), None)
        if broken:
            return f"Layer '{broken.name}': {broken.problem}"
        last = steps[-1].output_shape
        if last != (self.classes,):
            return (
                f"The list ends in {'×'.join(map(str, last or ()))}, but a classifier ends in a vector of "
                f"{self.classes} classes; end with a fully connected layer of width 'classes'."
            )
        return ""


def _fresh(kind: str, taken: set[str]) -> str:
    number = 1
    while f"{kind}{number}" in taken:
        number += 1
    taken.add(f"{kind}{number}")
    return f"{kind}{number}"
