"""What is known of an architecture before any of it is built: `ModelSpec` and its typed options.

Nothing here imports torch: listing every model must cost milliseconds.
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
    """Typed options of a model: one field an option, its description shown beside the choice.

    Values arrive as text from the command line and from a URL, so `"true"`, `"0.5"` and `"2"` are read as
    what the field declares.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Options:
        """Validate `values`; raises `ValueError` with one sentence that says what would be accepted."""
        try:
            return cls.model_validate({key: cls._native(key, value) for key, value in values.items()})
        except ValidationError as error:
            raise ValueError(cls._sentence(error)) from None

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
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
    """The values an option can take, or an empty tuple where it is a number with bounds."""
    return (True, False) if info.annotation is bool else get_args(info.annotation)


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Lower and upper bound of a numeric option, None where there is none."""
    low = next((m.ge for m in info.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in info.metadata if hasattr(m, "le")), None)
    return low, high


def _bounds(info: FieldInfo) -> str:
    low, high = bounds(info)
    return f"a number from {low} to {high}"


class NoOptions(Options):
    """For a model that offers no choice."""


@dataclass(frozen=True)
class Published:
    """One figure that somebody published, and where, so that ours can stand beside it."""

    what: str
    """`params`, `macs`, `accuracy`, `error_top5`, `seconds` of training, …"""
    value: float
    """A count, or a fraction in [0, 1] for accuracies and errors."""
    on: str = ""
    """The data set, where the figure depends on one."""
    source: str = ""


Builder = Callable[[int, Shape, Any], "nn.Module"]
LayerListBuilder = Callable[[int, Shape, Any], "LayerList"]


@dataclass(frozen=True)
class ModelSpec:
    """The facts of one architecture, beside the code that builds it.

    `builder(classes, (C, H, W), options)` returns a `torch.nn.Module`; `layers`, for a model that is a plain
    sequence, returns the same as a `LayerList` without importing torch.
    """

    name: str
    title: str
    family: str
    year: int
    summary: str
    """One sentence: what it is and why one looks at it."""
    input_shape: Shape
    classes: int
    builder: Builder
    layers: LayerListBuilder | None = None
    options: type[Options] = NoOptions
    paper: str = ""
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    """Claims and corrections that stand beside the figures."""
    source: str = "cnnviz"
    """Who provides it: `cnnviz`, `torchvision`, `yours`."""
    tags: frozenset[str] = field(default_factory=frozenset)
    edition: str = ""
    """Tells two models of one name apart, as the digest of a user's file that may be edited."""
    description: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The architecture as data, of a model that no code builds: see `cnnviz.models.outside`."""

    def published_value(self, what: str) -> float | None:
        """The published figure called `what`, or None."""
        return next((p.value for p in self.published if p.what == what), None)
