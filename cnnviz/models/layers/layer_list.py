"""Layer list: a JSON document that describes a sequential network, built without executing any code."""

from __future__ import annotations

import json
import math
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnviz.models.layers.base import MAX_CLASSES, MAX_SIDE, AnyShape, Layer, MisfitError
from cnnviz.models.layers.basic import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Linear,
    LocalResponseNorm,
    NaiveInception,
    Pool,
    Residual,
    Resize,
    Softmax,
)

if TYPE_CHECKING:
    from torch import nn

# Limits of a layer list: it may come from anywhere, and a typo must not exhaust anyone's memory.

MAX_LAYERS = 500
MAX_PARAMS = 2_000_000_000
MAX_VALUES = 1_000_000_000
"""Output values of all layers together for one image: 4 GB, which the backward pass needs."""
MAX_MACS = 10**13
"""For one image; ten times that of torchvision's largest network."""


@dataclass
class Budget:
    """Running cost of the layers so far, checked against the limits where `bounded`."""

    bounded: bool
    params: int = 0
    values: int = 0
    macs: int = 0

    def spend(self, params: int, out: AnyShape) -> None:
        """Add the cost of one layer.

        Raises:
            MisfitError: Where `bounded` and the list exceeds a limit.
        """
        self.params += params
        self.values += math.prod(out)
        # An upper bound: every weight is used at most once at each position.
        self.macs += params * math.prod(out[1:])
        if self.bounded:
            self._check()

    def _check(self) -> None:
        for amount, limit, unit in (
            (self.params, MAX_PARAMS, "parameters"),
            (self.values, MAX_VALUES, "values to keep for one image"),
            (self.macs, MAX_MACS, "multiply-adds for one image"),
        ):
            if amount > limit:
                raise MisfitError(f"with it the list has {amount:,} {unit}; at most {limit:,} are allowed.")


# Error messages of an invalid document, one sentence each, from pydantic's errors.

PAIR = "a number or a pair of numbers"
EXPECTED = {
    "input": "three numbers: channels, height and width",
    "name": "letters, digits, - and _, a letter first, and short",
    "out": "a number, or 'classes' in a fully connected layer",
    **dict.fromkeys(("kernel", "stride", "padding", "dilation", "size"), PAIR),
}
"""Description of a field's values, instead of pydantic's types; not used where a number is out of bounds."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40


def reading_problem(error: ValidationError, kinds: Collection[str]) -> str:
    """Describe the first error of an invalid layer list and where it is, in a few lines at most."""
    errors = error.errors(include_url=False, include_context=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        detail = first["msg"].removeprefix("Invalid JSON: ")
        return f"This is not JSON ({detail}); a layer list is a JSON document with 'input' and 'layers'."
    layer, field = _place(first["loc"])
    # A value that may be a number or a pair fails as both; the error with the deepest location is the
    # relevant one.
    deepest = max((e for e in errors if _place(e["loc"]) == (layer, field)), key=lambda e: len(e["loc"]))
    where = " of ".join(part for part in (field and f"'{field}'", layer) if part)
    return f"The layer list cannot be read{where and f' at {where}'}: {_detail(deepest, field, kinds)}."


def _place(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """Return the layer and the field of an error location, either of which may be empty."""
    if loc[:1] == ("layers",) and len(loc) > 1:
        field = str(loc[-1] if loc[3:4] == ("init",) else loc[3]) if len(loc) > 3 else ""
        return f"layer {int(loc[1]) + 1}", _clip(field)
    return "", _clip(str(loc[0])) if loc else ""


def _detail(error: Any, field: str, kinds: Collection[str]) -> str:
    given = error["input"]
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return "it is missing"
    if field in EXPECTED and error["type"] not in ("greater_than_equal", "less_than_equal"):
        return f"it should be {EXPECTED[field]}, not {_SHORT.repr(given)}"
    if error["type"] == "too_long":
        return f"a list has at most {MAX_LAYERS} layers, not {len(given):,}"
    if error["type"] == "union_tag_not_found":
        return f"'kind' is missing; the kinds are {', '.join(kinds)}"
    if error["type"] == "union_tag_invalid":
        return f"there is no kind {_SHORT.repr(given.get('kind'))}; the kinds are {', '.join(kinds)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return _clip(message, 160)
    return _clip(f"{message[0].lower()}{message[1:]}, not {_SHORT.repr(given)}", 240)


def _clip(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


# Reserved names of layers: methods and attributes of a PyTorch container.

_RESERVED = """
T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda
double dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter
get_submodule half insert ipu load_state_dict modules mtia named_buffers named_children
named_modules named_parameters parameters pop register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook
requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train training type
xpu zero_grad
"""
RESERVED_NAMES = frozenset(_RESERVED.split())


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
"""Layer classes by their kind, in the order in which an editor offers them."""

MAX_BYTES = 1_000_000
"""Of a document; 500 layers need at most a tenth of it."""


@dataclass(frozen=True)
class Step:
    """One layer of a list with its unique name and shapes, or the reason why it does not fit."""

    name: str
    layer: Layer
    input_shape: AnyShape | None
    output_shape: AnyShape | None
    problem: str = ""
    params: int = 0


class LayerList(BaseModel):
    """Sequential network as a list of layers.

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
        names = [layer.name for layer in self.layers if layer.name]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"the name {duplicates[0]!r} stands at more than one layer; each needs its own")
        reserved = sorted(RESERVED_NAMES.intersection(names))
        if reserved:
            raise ValueError(f"a layer cannot be called {reserved[0]!r}, which PyTorch needs")
        return self

    @classmethod
    def read(cls, text: str | bytes) -> LayerList:
        """Parse a JSON document.

        Raises:
            ValueError: Where it is invalid; one sentence says where and why.
        """
        if len(text) > MAX_BYTES:
            raise ValueError(
                f"A layer list is at most {MAX_BYTES // 1000:,} kB long, not {len(text) // 1000:,} kB."
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(reading_problem(error, KINDS)) from None

    def write(self) -> str:
        """Serialize the list as indented JSON, without default values."""
        metadata = self.model_dump(mode="json", exclude_defaults=True)
        layers = [
            {"kind": layer.kind, **layer.model_dump(mode="json", exclude_defaults=True)}
            for layer in self.layers
        ]
        document = {"format": self.format, **metadata, "layers": layers}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def names(self) -> list[str]:
        """Return a unique name for each layer: its own, or its kind and a number."""
        used = {layer.name for layer in self.layers if layer.name}
        return [layer.name or _fresh(layer.kind, used) for layer in self.layers]

    def steps(self, bounded: bool = True) -> Iterator[Step]:
        """Infer shapes and parameters layer by layer.

        Args:
            bounded: Whether a layer that makes the list exceed the limits counts as a misfit.

        Yields:
            One step per layer. After the first that does not fit, shapes are unknown (None).
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
        """Return why the list cannot be built, in one sentence; empty where it can. See `steps`."""
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


def _fresh(kind: str, used: set[str]) -> str:
    number = 1
    while f"{kind}{number}" in used:
        number += 1
    used.add(f"{kind}{number}")
    return f"{kind}{number}"


# Building a list, and the input sizes with which it can be built.


def module_from(layers: LayerList) -> nn.Sequential:
    """Build a layer list as an `nn.Sequential` that maps `(N, C, H, W)` to logits `(N, classes)`.

    Raises:
        ValueError: Where a layer does not fit. The message names the first such layer, and the input sizes
            that work where only the size is at fault.
    """
    from torch import nn

    problem = layers.problem()
    if problem:
        raise ValueError(" ".join(filter(None, (problem, working_sizes(layers)))))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for step in layers.steps():
        assert step.input_shape is not None
        parts[step.name] = step.layer.module(step.input_shape, layers.classes)
    return nn.Sequential(parts)


def working_sizes(layers: LayerList) -> str:
    """Describe the square input sizes that the layers accept.

    Binary search finds both ends: layers that fit an input also fit a larger one, and a larger one only costs
    more.

    Returns:
        One sentence; empty where no size works, so that the input size is not the problem.
    """
    smallest = _first(lambda side: not _square(layers, side).problem(bounded=False))
    if smallest > MAX_SIDE or _square(layers, smallest).problem():
        return ""
    if min(layers.input[1:]) < smallest:
        return f"The smallest input that works is {smallest}×{smallest}."
    largest = _first(lambda side: side > smallest and bool(_square(layers, side).problem())) - 1
    return f"Inputs from {smallest}×{smallest} to {largest}×{largest} work."


def _first(holds: Callable[[int], bool]) -> int:
    """Return the smallest side from which `holds` stays true, or `MAX_SIDE + 1` (binary search)."""
    low, high = 1, MAX_SIDE + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _square(layers: LayerList, side: int) -> LayerList:
    return layers.model_copy(update={"input": (layers.input[0], side, side)})
