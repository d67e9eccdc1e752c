"""The nearest model that is a plain list of layers, for one that is not."""

from __future__ import annotations

from rapidfuzz import fuzz

from cnnviz.models.registry import specs
from cnnviz.models.spec import ModelSpec


def nearest_sequential(spec: ModelSpec) -> ModelSpec:
    """Of our models that can be had as a layer list, the one most like `spec`.

    One of its own family with the most similar name, or the newest where there is none of its family.
    """
    lists = [other for other in specs().values() if other.layers is not None and other.source == "cnnviz"]
    family = [other for other in lists if other.family == spec.family]
    if family:
        return max(family, key=lambda other: fuzz.ratio(other.name, spec.name))
    return max(lists, key=lambda other: other.year)
