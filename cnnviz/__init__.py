"""See inside convolutional networks: anatomy, training, feature maps, comparison, diagnosis."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "analyze", "show", "watch"]

_LAZY = {"analyze": "cnnviz.analysis", "show": "cnnviz.watching.show", "watch": "cnnviz.watching"}
"""Module of each lazily imported attribute; importing `cnnviz` itself imports nothing else."""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'cnnviz' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
