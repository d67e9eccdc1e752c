"""Pictures that ship with the product, each with its maker and licence; none is a file in the repository.

Ours are drawn by code, the same to the bit every time; others come out of libraries that ship them.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cnnviz.inference.errors import InferenceError
from cnnviz.inference.uploads import Upload

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["digit", "drawing", "test card", "photograph"]
OURS, LICENCE = "Drawn by cnnviz", "MIT"


@dataclass(frozen=True)
class Sample:
    """One picture: its name in a URL, what it shows, who made it, and how to get it."""

    name: str
    title: str
    kind: Kind
    credit: str
    licence: str
    make: Callable[[], Image | bytes]
    """A Pillow image, or the bytes of a file."""

    def data(self) -> bytes:
        """The bytes of an image file, as an upload would bring them."""
        return _encoded(self.name)

    def upload(self) -> Upload:
        """As if somebody had handed it in."""
        return Upload(f"{self.name}.{'jpg' if self.kind == 'photograph' else 'png'}", self.data())


@functools.cache
def all_samples() -> dict[str, Sample]:
    """Every sample by name: digits, drawings, test cards, photographs."""
    from cnnviz.inference.samples import cards, digits, drawings, libraries

    found = (*digits.SAMPLES, *drawings.SAMPLES, *cards.SAMPLES, *libraries.SAMPLES)
    return {sample.name: sample for sample in found}


def get(name: str) -> Sample:
    """The sample called `name`; raises `InferenceError` that lists them."""
    known = all_samples()
    if name not in known:
        raise InferenceError(f"There is no sample '{name[:80]}'; there are: {', '.join(known)}.")
    return known[name]


@functools.cache
def _encoded(name: str) -> bytes:
    made = get(name).make()
    if isinstance(made, bytes):
        return made
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()
