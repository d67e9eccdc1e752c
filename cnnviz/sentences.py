"""Sentences that are composed of others."""


def full_stop(text: str) -> str:
    """End a sentence with one full stop, whether or not what it was made of ended with one."""
    found = " ".join(text.split())
    return found if found.endswith(("!", "?", "…")) else f"{found.rstrip('.')}."
