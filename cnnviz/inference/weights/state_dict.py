"""Weights into a model: by name and shape, or a sentence on which layers differ and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from cnnviz.inference import InferenceError

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
        advice = remedy(expected, named)
        raise InferenceError(f"These weights do not fit {title}: {problem}.{f' {advice}' if advice else ''}")
    return real(named, expected, notes)


def real(
    named: Mapping[str, Tensor], expected: Mapping[str, Tensor], notes: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Convert weights to the model's kind of numbers, and note what no training leaves behind.

    That is numbers of another kind (whole, true or false, complex, 8 bits), not finite ones, and such as are
    larger than `LARGEST`. Halves and doubles are usual and not noted.
    """
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, list[str]] = {}
    wild, large = [], []
    for name, value in named.items():
        plain = value
        if name in expected and expected[name].is_floating_point():
            if value.dtype not in USUAL:
                kinds.setdefault(str(value.dtype).removeprefix("torch."), []).append(name)
            plain = (value.real if value.is_complex() else value).to(expected[name].dtype)
        tensors[name] = plain
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
    return tensors, notes


def without_prefix(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights under the model's names: without the prefix before them, or with one that they lack.

    It is the prefix with which most names are the model's own, whatever it is called (`module.`, `net.`,
    `state_dict.encoder.`). Returns what was done in sentences.
    """
    prefix = _best_prefix(weights, expected)
    if prefix:
        named = {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
        left = [name for name in weights if not name.startswith(prefix)]
        if not left:
            return named, (f"The prefix '{prefix}' was taken off every name.",)
        return named, (f"Taken are the weights under '{prefix}'; left out: {listed(left)}.",)
    lacking = _best_prefix(expected, weights)
    if lacking and all(name.startswith(lacking) for name in expected):
        return {lacking + name: value for name, value in weights.items()}, (
            f"The prefix '{lacking}' was put before every name.",
        )
    return dict(weights), ()


def _best_prefix(names: Iterable[str], wanted: Mapping[str, Tensor]) -> str:
    """What stands before most of the `wanted` names among `names`; empty where most stand there plainly."""
    counts = Counter[str]()
    for name in names:
        start = 0
        while True:
            if name[start:] in wanted:
                counts[name[:start]] += 1
            start = name.find(".", start) + 1
            if not start:
                break
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default="")


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


def remedy(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """A sentence on what would most likely help where weights do not fit; empty where nobody can say."""
    wanted = {name: tuple(value.shape) for name, value in expected.items() if not name.endswith(COUNTER)}
    there = {name: tuple(value.shape) for name, value in given.items() if not name.endswith(COUNTER)}
    shared = wanted.keys() & there.keys()
    other = [name for name in wanted if name in shared and wanted[name] != there[name]]
    if not shared and list(wanted.values()) == list(there.values()):
        return (
            "The shapes agree one by one, so only names differ: rename the layers, or save the weights again "
            "from the network as it is now."
        )
    if not shared and there:
        return "No name is the model's own: is it another network, or another version of it?"
    if len(other) == 1 and len(wanted[other[0]]) == 4 and wanted[other[0]][2:] == there[other[0]][2:]:
        return f"They read {there[other[0]][1]} channels, and this model {wanted[other[0]][1]}."
    outputs = {(there[name][0], wanted[name][0]) for name in other if there[name][1:] == wanted[name][1:]}
    if other and len(outputs) == 1 and other == list(wanted)[-len(other) :]:
        has, asked = outputs.pop()
        return (
            f"They give {has:,} classes, and {asked:,} are asked for: name {has:,} classes, or fine-tune "
            "from them (start_from), which makes a new last layer."
        )
    if other and len(shared) == len(wanted) == len(there):
        return "It is the same network of other sizes: give its options as --option K=V."
    missing = [name for name in wanted if name not in there]
    if missing and not other and shared and missing == list(wanted)[-len(missing) :]:
        return "All but the last layers are there: fine-tune from them (start_from), which makes new ones."
    return ""


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
