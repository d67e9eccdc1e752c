"""Number formatting: never 0 for a value that is not 0, nor 100 % for less than all."""

from __future__ import annotations

import math

from cnnviz import sentences

LARGEST_FIXED = 1e6
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: float) -> str:
    """Format a number with two or three digits: `0.0123`, `2.7·10⁻⁸`, `1,240`."""
    if not math.isfinite(value):
        return "no number"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPTS)}"


def fixed(value: float, digits: int = 2) -> str:
    """Format with `digits` decimals; as `short` does if huge, or if only zeros would remain."""
    if not abs(value) < LARGEST_FIXED:
        return short(value)
    text = f"{value:,.{digits}f}"
    return short(value) if value and not float(text.replace(",", "")) else text


def percent(share: float, digits: int = 0) -> str:
    """Format a fraction in [0, 1]: `37 %`; with more digits where it would look like 0 or 100 %."""
    if not math.isfinite(share):
        return "no number"
    for digits_shown in range(digits, 5):
        text = sentences.percent(share, digits_shown)
        if not text.startswith(("<", ">")):
            return text
    return f"{short(100 * share)} %" if abs(share) < 0.5 else "nearly 100 %"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Format a count with its noun: `1 step`, `2,400 steps`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
