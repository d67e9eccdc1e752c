"""Pictures of a finding in words, for who cannot see them."""

from __future__ import annotations

import math

from cnnviz.diagnosis import Bars, Images, Lines
from cnnviz.diagnosis.finding import Picture


def alt(picture: Picture) -> str:
    """Its title, and what the rule says is to be seen, else where curves end and which bar is highest."""
    if picture.alt:
        return f"{picture.title}. {picture.alt}"
    if isinstance(picture, Images):
        said = f"Images: {', '.join(line for _, line in picture.images)}"
    else:
        said = _ends(picture) if isinstance(picture, Lines) else _highest(picture)
    return f"{picture.title}. {said}."


def _ends(picture: Lines) -> str:
    last = [
        (one.name, next((v for v in reversed(one.y) if v is not None and math.isfinite(v)), None))
        for one in picture.series
    ]
    told = [f"{name} {_value(picture, value)}" for name, value in last if value is not None]
    return f"Curves over {picture.x_label}; last values: {', '.join(told) or 'none'}"


def _highest(picture: Bars) -> str:
    said = []
    for series, values in picture.values.items():
        known = [(v, i) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
        if known:
            value, place = max(known)
            said.append(f"{series} is highest at {picture.names[place]} ({_value(picture, value)})")
    return "; ".join(said) or "Nothing was measured"


def _value(picture: Lines | Bars, value: float) -> str:
    return f"{100 * value:.1f} %" if picture.percent else f"{value:.3g}"
