"""Which series has which colour."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.figures.palette import COMPARED, Colour


def hues(dashed: Sequence[bool]) -> list[Colour]:
    """A colour a series: the next of those for what is compared, a dashed one that of the one before it.

    So training and test of one thing have one hue. More than four solid ones go from the first hue to the
    last in even steps, since their order, as that of layers, is what is to be seen.
    """
    solid = sum(not one for one in dashed)
    shades = COMPARED if solid <= len(COMPARED) else [_between(i / (solid - 1)) for i in range(solid)]
    found: list[Colour] = []
    place = -1
    for one in dashed:
        place += not one or not found
        found.append(shades[max(0, place)])
    return found


def _between(share: float) -> Colour:
    first, last = COMPARED[1], COMPARED[3]
    return Colour(_mixed(first.light, last.light, share), _mixed(first.dark, last.dark, share))


def _mixed(first: str, last: str, share: float) -> str:
    def part(at: int) -> int:
        low, high = int(first[at : at + 2], 16), int(last[at : at + 2], 16)
        return round(low + (high - low) * share)

    return f"#{part(1):02x}{part(3):02x}{part(5):02x}"
