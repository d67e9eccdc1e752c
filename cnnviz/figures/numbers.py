"""Numbers as they are shown: three significant digits with a unit in headlines, exact digits in tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnnviz.analysis.types import MIB
from cnnviz.sentences import percent as percent  # one form of a share everywhere

THOUSANDS = ("", " k", " M", " G", " T", " P")


def significant(value: float, digits: int = 3) -> str:
    """`value` rounded to so many significant digits, without an exponent: `58.3`, `0.0421`, `1,040`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def short(count: float) -> str:
    """A count for a headline: `58.3 M`, `1.52 k`, and small whole numbers as they are."""
    if abs(count) < 1000 and count == int(count):
        return f"{int(count)}"
    steps = 0
    while abs(float(f"{count:.2e}")) >= 1000 and steps < len(THOUSANDS) - 1:
        count, steps = count / 1000, steps + 1
    return significant(count) + THOUSANDS[steps]


def exact(count: float) -> str:
    """Every digit, thousands separated: `58,292,074`."""
    return f"{count:,}"


def macs(count: float) -> str:
    """Multiply-adds for a headline: `1.18 GMAC`, `417 kMAC`."""
    text = short(count)
    return f"{text}MAC" if text[-1].isalpha() else f"{text} MAC"


def mib(size: float) -> str:
    """Bytes in MiB for a headline: `222 MiB`; below a hundredth of one, in KiB."""
    if 0 < abs(size) < 0.01 * MIB:
        return f"{significant(size / 1024)} KiB"
    return f"{significant(size / MIB)} MiB"


def shape(sides: Sequence[int]) -> str:
    """A shape: `256×29×29`; `1` for that of a single number."""
    return "×".join(f"{side}" for side in sides) or "1"
