"""Text helpers for messages: full stops, percentages, stored keys as words, names with little space."""

import re
from collections.abc import Sequence


def full_stop(text: str) -> str:
    """Collapse whitespace and end the sentence with exactly one full stop; `!`, `?` and `…` stay."""
    sentence = " ".join(text.split())
    return sentence if sentence.endswith(("!", "?", "…")) else f"{sentence.rstrip('.')}."


def percent(fraction: float, digits: int = 0) -> str:
    """Format a fraction as a percentage: `44 %`.

    A nonzero fraction is never shown as 0 %, nor a fraction below 1 as 100 %: `< 1 %`, `> 99 %`.

    Args:
        fraction: In [0, 1].
        digits: Decimal places.
    """
    text = f"{100 * fraction:.{digits}f}"
    least = 10.0**-digits
    if fraction > 0 and float(text) == 0:
        return f"< {least:g} %"
    if fraction < 1 and float(text) == 100:
        return f"> {100 - least:g} %"
    return f"{text} %"


STORED_SPELLINGS = {
    "centre": "center",
    "colour": "color",
    "grey": "gray",
    "initialisation": "initialization",
    "normalisation": "normalization",
    "optimiser": "optimizer",
    "standardised": "standardized",
}
"""Words of stored keys and values that are spelled otherwise than in the pages: British, as they began."""


def american(value: str) -> str:
    """Spell a stored key or value as the pages do: `unit-standardised` → `unit-standardized`."""
    return re.sub(r"[a-z]+", lambda word: STORED_SPELLINGS.get(word[0], word[0]), value)


def key_words(key: str) -> str:
    """Write a stored key as words: `colour_jitter` → `color jitter`."""
    return american(key.replace("_", " "))


LONG_NAME, LONG_PREFIX = 14, 6
"""Characters from which on a name is shortened, and a common beginning is worth leaving out."""
SEPARATORS = " _-/.,"


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten long names by what they all begin with: `… 3` and `… 4` of `subspecies 3` and `subspecies 4`.

    A label with little space cuts the end off, which is where such names differ. Short names stay.
    """
    long = [name for name in names if len(name) > LONG_NAME]
    pairs = enumerate(zip(min(long, default=""), max(long, default=""), strict=False))
    same = next((position for position, (one, other) in pairs if one != other), 0)
    end = 1 + max(long[0].rfind(separator, 0, same) for separator in SEPARATORS) if same else 0
    if end < LONG_PREFIX:
        return list(names)
    return [f"… {name[end:]}" if len(name) > LONG_NAME else name for name in names]
