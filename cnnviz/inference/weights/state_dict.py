"""Weights into a model: by name and shape, or a sentence on which layers differ and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from cnnviz.inference import InferenceError

PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and many a training script put before every name."""
COUNTER = "num_batches_tracked"
"""A count that batch normalisation keeps and, in evaluation, never reads; older files lack it."""
USUAL = frozenset((torch.float16, torch.bfloat16, torch.float32, torch.float64))
"""Kinds of numbers that weights are stored in."""
LARGEST = 1e8
"""Magnitude that no trained weight has; running variances of raw pixels come to some 1e6."""
NAMED = 3
"""So many are named, the others counted."""


def load_state_dict(model: nn.Module, weights: Mapping[str, Tensor], title: str) -> tuple[str, ...]:
    """Copy `weights` into `model`, and return sentences on what was done to their names.

    `title` is what the model is called in messages. Raises `InferenceError` as `matched` does; the model is
    then unchanged.
    """
    named, notes = matched(model.state_dict(), weights, title)
    try:
        model.load_state_dict(named, strict=False)
    except RuntimeError as error:
        raise InferenceError(f"These weights do not fit {title}: {_line(error)}") from None
    return notes


def matched(
    expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], title: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights under the model's own names, and sentences on what was done to get there.

    Raises `InferenceError` that says which tensors are missing, unexpected or of another shape.
    """
    named, notes = without_prefix(weights, expected)
    problem = difference(expected, named)
    if problem:
        raise InferenceError(f"These weights do not fit {title}: {problem}.")
    return real(named, expected, notes)


def real(
    named: Mapping[str, Tensor], expected: Mapping[str, Tensor], notes: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Convert weights to the model's kind of numbers, and note what no training leaves behind.

    That is numbers of another kind (whole, true or false, complex, 8 bits), not finite ones, and such as are
    larger than `LARGEST`. Halves and doubles are usual and not noted.
    """
    found: dict[str, Tensor] = {}
    kinds: dict[str, list[str]] = {}
    wild, large = [], []
    for name, value in named.items():
        plain = value
        if name in expected and expected[name].is_floating_point():
            if value.dtype not in USUAL:
                kinds.setdefault(str(value.dtype).removeprefix("torch."), []).append(name)
            plain = (value.real if value.is_complex() else value).to(expected[name].dtype)
        found[name] = plain
        if not torch.isfinite(plain).all():
            wild.append(name)
        elif plain.numel() and plain.is_floating_point() and plain.abs().max() > LARGEST:
            large.append(name)
    for kind, names in kinds.items():
        lost = ", their imaginary parts left out" if kind.startswith("complex") else ""
        notes += (
            f"Weights are not floating-point numbers of 16 to 64 bits but {kind}: {listed(names)}; they were "
            f"converted{lost}, and without a scale that belongs to them the answers may mean nothing.",
        )
    if wild:
        notes += (f"Not all weights are finite numbers: {listed(wild)}; what comes out is worth nothing.",)
    if large:
        notes += (
            f"Weights are larger than training leaves them (beyond {LARGEST:.0e}): {listed(large)}; what "
            "comes out is hardly worth anything.",
        )
    return found, notes


def without_prefix(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without a prefix that every name has and the model's names have not; and what was cut."""
    named, cut = dict(weights), ""
    while True:
        prefix = next((p for p in PREFIXES if named and all(name.startswith(p) for name in named)), None)
        if prefix is None or any(name.startswith(prefix) for name in expected):
            break
        named = {name.removeprefix(prefix): value for name, value in named.items()}
        cut += prefix
    return named, (f"The prefix '{cut}' was taken off every name.",) if cut else ()


def difference(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """How names and shapes differ, as part of a sentence; empty where the weights fit."""
    missing = [name for name in expected if name not in given and not name.endswith(COUNTER)]
    unexpected = [name for name in given if name not in expected]
    other = [
        f"{name} is {shape(given[name])} where the model has {shape(expected[name])}"
        for name in expected
        if name in given and given[name].shape != expected[name].shape
    ]
    parts = []
    if missing:
        parts.append(f"{listed(missing)} {_are(missing)} missing")
    if unexpected:
        parts.append(f"the model has no {listed(unexpected)}")
    if other:
        parts.append(listed(other))
    return "; ".join(parts)


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - NAMED
    if rest > 0:
        return f"{', '.join(names[:NAMED])} and {rest} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def shape(value: Tensor) -> str:
    """A shape as `6×1×5×5`."""
    return "×".join(map(str, value.shape)) or "a single number"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
