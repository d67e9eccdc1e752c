"""Coloured shapes from our own generator: any size, any number, no network."""

from __future__ import annotations

from pydantic import Field

from cnnviz.datasets import drawing
from cnnviz.datasets.registry import register
from cnnviz.datasets.spec import Arrays, Progress, Step
from cnnviz.models import Options


class ShapesOptions(Options):
    """How many, how large, and which."""

    size: int = Field(32, ge=8, le=256, description="Side of an image in pixels.")
    train: int = Field(10_000, ge=10, le=100_000, description="Training images.")
    test: int = Field(2_000, ge=10, le=100_000, description="Test images.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="The same seed draws the same images.")


@register(
    "shapes",
    title="Shapes",
    summary="Ten coloured shapes of any place, size, turn and colour on uneven, noisy ground.",
    shape=(3, 32, 32),
    classes=drawing.NAMES,
    train=10_000,
    test=2_000,
    origin="Drawn on this machine by cnnviz's own generator.",
    licence="MIT, as cnnviz",
    offline=True,
    options=ShapesOptions,
    split="Training and test images come from two random streams of one seed.",
)
def shapes(options: ShapesOptions, progress: Progress) -> Arrays:
    """Draw both parts."""
    total = options.train + options.test
    progress(Step("drawing", 0, total))
    train = drawing.draw(options.train, options.size, options.seed, stream=0)
    progress(Step("drawing", options.train, total))
    test = drawing.draw(options.test, options.size, options.seed, stream=1)
    progress(Step("drawing", total, total))
    return Arrays(*train, *test)
