"""What looks wrong about a picture for this model, before it is asked."""

from __future__ import annotations

from cnnviz.inference.picture import Picture
from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.inference.steps import stored

DARK, LIGHT = 80, 140
"""Means of pixels, from 0 to 255, below and above which pictures are called so."""
TINY = 0.25
FLAT = 8.0
"""Standard deviation of pixels below which there is next to nothing in a picture."""


def hints(picture: Picture, how: Preprocessing) -> tuple[str, ...]:
    """Sentences on what the model has not seen the like of, each with what to try; mostly none.

    Light and dark can be told only where `how` knows the training images' mean.
    """
    image = stored(picture, how)
    mean, found = float(image.mean()), []
    if how.mean and how.scale != "unit-standardised":
        usual = sum(how.mean) / len(how.mean)
        if (usual < DARK and mean > LIGHT) or (usual > LIGHT and mean < DARK):
            here, there = ("light", "dark") if mean > LIGHT else ("dark", "light")
            change = "leave 'invert' off" if how.invert else "try 'invert'"
            found.append(
                f"This picture is mostly {here} (mean {mean:.0f}), and training images are mostly {there} "
                f"(mean {usual:.0f}): {change}."
            )
    if image.std() < FLAT:
        found.append("There is next to nothing in what the model is shown of this picture.")
    height, width = picture.size
    if min(height, width) < TINY * min(how.stored):
        found.append(f"This picture has {width}×{height} pixels and is enlarged: what comes in is a blur.")
    return tuple(found)
