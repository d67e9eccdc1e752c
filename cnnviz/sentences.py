"""Text helpers for messages: full stops and percentages."""


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
