"""Model specifications: metadata of an architecture and its typed options, without building it.

Nothing here imports torch: listing all models must take milliseconds.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models.layers import LayerList


Shape = tuple[int, int, int]
"""Shape of one image, `(C, H, W)`."""


class Options(BaseModel):
    """Typed options of a model: one field per option, with a description for the user.

    Values arrive as text from the command line and from a URL, so `"true"`, `"0.5"` and `"2"` are converted
    to the field's type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Options:
        """Validate `values`.

        Raises:
            ValueError: Where one is invalid; one sentence says what would be accepted.
        """
        try:
            return cls.model_validate({key: cls._native(key, value) for key, value in values.items()})
        except ValidationError as error:
            raise ValueError(cls._sentence(error)) from None

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults."""
        return {k: v for k, v in self.model_dump().items() if v != type(self).model_fields[k].default}

    @classmethod
    def _native(cls, key: str, value: Any) -> Any:
        info = cls.model_fields.get(key)
        if info is None or not isinstance(value, str):
            return value
        return next((choice for choice in choices(info) if str(choice).lower() == value.lower()), value)

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        name = str(first["loc"][0])
        info = cls.model_fields.get(name)
        if info is None:
            known = ", ".join(cls.model_fields) or "none"
            return f"There is no option {reprlib.repr(name)} here; the options are: {known}."
        accepted = " or ".join(str(c) for c in choices(info)) or _bounds(info)
        return f"Option '{name}' cannot be {reprlib.repr(first['input'])}; it can be {accepted}."


def choices(info: FieldInfo) -> tuple[Any, ...]:
    """Return the allowed values of an option; empty where it is a number with bounds."""
    return (True, False) if info.annotation is bool else get_args(info.annotation)


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Return the lower and upper bound of a numeric option, None where there is none."""
    low = next((m.ge for m in info.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in info.metadata if hasattr(m, "le")), None)
    return low, high


def _bounds(info: FieldInfo) -> str:
    low, high = bounds(info)
    return f"a number from {low} to {high}"


class NoOptions(Options):
    """Options of a model without any."""


@dataclass(frozen=True)
class Published:
    """Published figure and its source, for comparison with the measured one."""

    what: str
    """Quantity: `params`, `macs`, `accuracy`, `error_top5`, `seconds` of training, …"""
    value: float
    """Count, or fraction in [0, 1] for accuracies and errors."""
    on: str = ""
    """Data set, where the figure depends on one."""
    source: str = ""


Builder = Callable[[int, Shape, Any], "nn.Module"]
LayerListBuilder = Callable[[int, Shape, Any], "LayerList"]


@dataclass(frozen=True)
class ModelSpec:
    """Specification of one architecture, defined beside the code that builds it.

    `builder(classes, (C, H, W), options)` returns a `torch.nn.Module`; `layers`, for a sequential model,
    returns the same as a `LayerList` without importing torch.
    """

    name: str
    title: str
    family: str
    year: int
    summary: str
    """One sentence: what the model is and why it matters."""
    input_shape: Shape
    classes: int
    builder: Builder
    layers: LayerListBuilder | None = None
    options: type[Options] = NoOptions
    paper: str = ""
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    """Claims and corrections, shown beside the figures."""
    source: str = "cnnviz"
    """Provider: `cnnviz`, `torchvision` or `yours`."""
    tags: frozenset[str] = field(default_factory=frozenset)
    edition: str = ""
    """Version that distinguishes models of the same name, such as the digest of a user's file."""
    description: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """Architecture as data, for a model without builder code; see `cnnviz.models.external`."""

    def published_value(self, what: str) -> float | None:
        """Return the published value of the quantity `what`, or None."""
        return next((p.value for p in self.published if p.what == what), None)
