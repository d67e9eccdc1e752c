"""Number formats: counts and sizes with three significant digits, metrics, durations, timestamps, bytes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from cnnviz.analysis.types import MIB
from cnnviz.sentences import percent as percent  # re-exported: one format of percentages everywhere

# Counts: three significant digits with a unit in headlines, exact digits in tables.

THOUSANDS = ("", " k", " M", " G", " T", " P")


def significant(value: float, digits: int = 3) -> str:
    """Format `value` with so many significant digits, without an exponent: `58.3`, `0.0421`, `1,040`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def short(count: float) -> str:
    """Format a count for a headline: `58.3 M`, `1.52 k`; whole numbers below 1000 as they are."""
    if abs(count) < 1000 and count == int(count):
        return f"{int(count)}"
    steps = 0
    while abs(float(f"{count:.2e}")) >= 1000 and steps < len(THOUSANDS) - 1:
        count, steps = count / 1000, steps + 1
    return significant(count) + THOUSANDS[steps]


def exact(count: float) -> str:
    """Format a count with every digit, thousands separated: `58,292,074`."""
    return f"{count:,}"


def macs(count: float) -> str:
    """Format multiply-adds for a headline: `1.18 GMAC`, `417 kMAC`."""
    text = short(count)
    return f"{text}MAC" if text[-1].isalpha() else f"{text} MAC"


def mib(size: float) -> str:
    """Format bytes as MiB for a headline: `222 MiB`; as KiB below 0.01 MiB."""
    if 0 < abs(size) < 0.01 * MIB:
        return f"{significant(size / 1024)} KiB"
    return f"{significant(size / MIB)} MiB"


def shape(sides: Sequence[int]) -> str:
    """Format a shape: `256×29×29`; `1` for that of a scalar."""
    return "×".join(f"{side}" for side in sides) or "1"


# Metrics, durations, timestamps and bytes of a run.

MINUTE, HOUR, DAY = 60, 3_600, 86_400
PARTS = {"train": "training", "val": "validation", "test": "test"}
WORDS = {
    "lr": "learning rate",
    "images_per_second": "images per second",
    "memory_bytes": "memory",
    "mfu": "share of peak arithmetic",
    "top5": "top-5 accuracy",
    "logit_spread": "logit standard deviation",
    "epoch_loss": "loss over the epoch",
    "epoch_accuracy": "accuracy over the epoch",
    "aux1_loss": "loss of auxiliary classifier 1",
    "aux2_loss": "loss of auxiliary classifier 2",
}
MISSING = "—"
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def metric_title(name: str) -> str:
    """Return a metric's title: `test accuracy` for `test/accuracy`.

    An unknown name without its underscores.
    """
    part, slash, what = name.rpartition("/")
    words = WORDS.get(what, what.replace("_", " "))
    return f"{PARTS.get(part, part)} {words}" if slash else words


def is_fraction(name: str) -> bool:
    """Return whether a metric is in [0, 1] and shown as a percentage."""
    last = name.rpartition("/")[2]
    return last.endswith(("accuracy", "top5", "mfu"))


def metric_text(name: str, value: float | None, digits: int = 4) -> str:
    """Format a metric for a table: `97.31 %`, `0.1042`, `3,120`; NaN as `NaN`, None as a dash."""
    if value is None:
        return MISSING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if is_fraction(name):
        return f"{100 * value:.{digits - 2}f} %"
    if name.endswith("bytes"):
        return size(value)
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}g}"
    return significant(value, digits)


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: `8.2 s`, `3 min 20 s`, `1 h 16 min`, `2 d 3 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    large, small = next((units for units in ((DAY, HOUR), (HOUR, MINUTE)) if whole >= units[0]), (MINUTE, 1))
    names = {DAY: "d", HOUR: "h", MINUTE: "min", 1: "s"}
    count, remainder = whole // large, whole % large // small
    return f"{count} {names[large]} {remainder} {names[small]}" if remainder else f"{count} {names[large]}"


def moment(when: float | None) -> str:
    """Format a Unix timestamp in local time: `2026-03-01 14:05`; None as a dash."""
    return MISSING if when is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def size(count: float) -> str:
    """Format bytes with a binary unit: `482 KiB`, `1.24 GiB`."""
    value, unit = float(count), BYTE_UNITS[0]
    for unit in BYTE_UNITS:
        if abs(value) < 1000 or unit == BYTE_UNITS[-1]:
            break
        value /= 1024
    return f"{value:g} {unit}" if unit == "B" else f"{significant(value)} {unit}"
