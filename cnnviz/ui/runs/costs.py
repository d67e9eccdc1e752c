"""Multiply-adds of what a recipe trains, for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import streamlit as st

from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

KEPT = 500


def macs_of(recipe: Mapping[str, Any], dataset: str) -> int | None:
    """The multiply-adds of a recipe's model on its input; None where the model is not there any more.

    The number of classes, which hardly matters to it, is the registered data's, else the model's own.
    """
    layers = recipe.get("layers")
    size, options = recipe.get("size"), recipe.get("options") or {}
    chosen = orjson.dumps([layers, size, options], option=orjson.OPT_SORT_KEYS).decode()
    return _macs(str(recipe.get("model", "")), chosen, dataset)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _macs(model: str, chosen: str, dataset: str) -> int | None:
    from cnnviz import datasets
    from cnnviz.analysis import analyze
    from cnnviz.models.layers import LayerList

    layers, size, options = orjson.loads(chosen)
    spec = datasets.specs().get(dataset)
    classes = len(spec.classes) if spec is not None else None
    try:
        if layers:
            return analyze(LayerList.read(orjson.dumps(layers)), size).macs
        return analyze(model, size, classes, options).macs
    except ValueError:
        return None


def macs_of_runs(runs: Sequence[RunSummary]) -> list[float | None]:
    """The multiply-adds of each run's model; what many runs share is counted once."""
    from cnnviz import tracking

    recipes = tracking.recipes(store.database(), [run.id for run in runs])
    known: dict[str, float | None] = {}
    found = []
    for run in runs:
        recipe = recipes.get(run.id, {})
        asked = repr([recipe.get(name) for name in ("model", "options", "layers", "size")]) + run.dataset
        if asked not in known:
            known[asked] = macs_of(recipe, run.dataset)
        found.append(known[asked])
    return found
