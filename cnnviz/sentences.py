"""Sentences that are composed of others, and shares in them."""


def full_stop(text: str) -> str:
    """End a sentence with one full stop, whether or not what it was made of ended with one."""
    sentence = " ".join(text.split())
    return sentence if sentence.endswith(("!", "?", "…")) else f"{sentence.rstrip('.')}."


def percent(fraction: float, digits: int = 0) -> str:
    """Format a share: `44 %`. What is not nothing is never shown as 0 %, nor what is not all as 100 %."""
    text = f"{100 * fraction:.{digits}f}"
    least = 10.0**-digits
    if fraction > 0 and float(text) == 0:
        return f"< {least:g} %"
    if fraction < 1 and float(text) == 100:
        return f"> {100 - least:g} %"
    return f"{text} %"
