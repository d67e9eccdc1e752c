"""Bundled pictures as the chooser needs them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cnnviz.inference.picture import Picture
from cnnviz.inference.samples import all_samples, get
from cnnviz.ui.pictures import handed

if TYPE_CHECKING:
    from cnnviz.inference.loaded import Loaded
    from cnnviz.inference.samples.sample import Kind


def names(loaded: Loaded) -> list[str]:
    """Every bundled picture, those first that the network has most to say to."""
    first: tuple[Kind, ...] = ("digit",) if loaded.preprocessing.channels == 1 else ("photograph", "drawing")
    return sorted(all_samples(), key=lambda name: get(name).kind not in first)


def fitting(loaded: Loaded) -> str:
    """The bundled picture that is shown where none is chosen."""
    known = names(loaded)
    return "digit-3" if loaded.preprocessing.channels == 1 and "digit-3" in known else known[0]


def title(name: str) -> str:
    """What a bundled picture is called."""
    return get(name).title


def credit(name: str) -> str:
    """Who made it, and under which licence it may be used."""
    return f"{get(name).credit}, {get(name).licence}"


@cache
def picture(name: str) -> Picture:
    """A bundled picture by its name, read as an upload is; raises `InferenceError` for one there is not."""
    found = handed.decoded(name, get(name).data())
    if not isinstance(found, Picture):
        raise RuntimeError(f"A bundled picture cannot be read: {found.reason}")
    return found
