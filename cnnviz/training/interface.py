"""What a model takes and what its answers mean: stored in every checkpoint, so that one can use it alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from cnnviz.training.prepare import Statistics

_PREFIX = "statistics."


@dataclass(frozen=True)
class Interface:
    """Classes in the order of the logits, `(H, W)` of the input, and the training images' statistics.

    The statistics' mean image has the shape `(C, H, W)` that the data's images are stored in.
    """

    classes: tuple[str, ...]
    side: tuple[int, int]
    statistics: Statistics

    def details(self) -> str:
        """All but the tensors, as JSON."""
        return json.dumps({"classes": self.classes, "side": self.side}, ensure_ascii=False)

    def tensors(self) -> dict[str, Tensor]:
        """The statistics under names that no weight has."""
        return {_PREFIX + field.name: getattr(self.statistics, field.name) for field in fields(Statistics)}

    @classmethod
    def read(cls, details: str, stored: Mapping[str, Tensor]) -> Interface:
        """The inverse of `details` and `tensors`."""
        values: dict[str, Any] = json.loads(details)
        statistics = Statistics(**{field.name: stored[_PREFIX + field.name] for field in fields(Statistics)})
        return cls(tuple(values["classes"]), (values["side"][0], values["side"][1]), statistics)
