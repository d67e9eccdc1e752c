"""Pictures that ship with the product, each with its maker and licence; none is a file in the repository.

Ours are drawn by code, the same to the bit every time; others come out of libraries that ship them.
"""

from __future__ import annotations

import functools

from cnnviz.inference import InferenceError
from cnnviz.inference.samples.sample import LICENCE, OURS, Sample

__all__ = ["LICENCE", "OURS", "Sample", "all_samples", "get"]


@functools.cache
def all_samples() -> dict[str, Sample]:
    """Every sample by name: digits, drawings, test cards, photographs."""
    from cnnviz.inference.samples.drawings import DIGITS, DRAWINGS
    from cnnviz.inference.samples.libraries import PHOTOGRAPHS, TEST_CARDS

    samples = (*DIGITS, *DRAWINGS, *TEST_CARDS, *PHOTOGRAPHS)
    return {sample.name: sample for sample in samples}


def get(name: str) -> Sample:
    """The sample called `name`; raises `InferenceError` that lists them."""
    known = all_samples()
    if name not in known:
        raise InferenceError(f"There is no sample '{name[:80]}'; there are: {', '.join(known)}.")
    return known[name]
