"""One picture that ships with the product: what the files beside this one make, and the package lists."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cnnviz.inference.images.read_image import Upload

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
        return _encoded(self.make)

    def upload(self) -> Upload:
        """As if somebody had handed it in."""
        return Upload(f"{self.name}.{'jpg' if self.kind == 'photograph' else 'png'}", self.data())


@functools.cache
def _encoded(make: Callable[[], Image | bytes]) -> bytes:
    made = make()
    if isinstance(made, bytes):
        return made
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()
