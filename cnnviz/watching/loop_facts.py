"""Loop facts: counters and statistics of a training loop from which rules detect faults of its code.

Cheap: counters in every step, small reductions in sampled steps. The JSON of `LoopFacts.body` is parsed by
`cnnviz.diagnosis.evidence.loop`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

SAMPLED_VALUES = 256
"""Values sampled per parameter, to tell a re-initialized layer from a trained one."""
MIN_COSINE = 0.5
"""Smallest cosine of a layer's weights before and after a change outside of a step; re-initialized weights
have about 0.
"""
MIN_VALUES = 32
MIN_UNIFORM_VALUES, MAX_UNIFORM_VALUES = 64, 1_000_000
"""Fewest values of a weight for testing its distribution, and most that are tested."""
MIN_ORDER = 8
"""Fewest labels whose order tells one batch from another."""
MAX_LABELS = 4_096
"""Most classes whose labels are counted."""
MODES = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
TINY = 1e-12


def mode_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that behave differently in training and evaluation mode, by name."""
    return {
        name or type(part).__name__: part
        for name, part in model.named_modules()
        if (isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0)
        or (isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats)
    }


def is_monte_carlo(model: nn.Module) -> bool:
    """Return whether dropout alone is in training mode: layers that were switched on one by one.

    That is how Monte-Carlo dropout (Gal and Ghahramani, 2016) judges; a forgotten `eval()` leaves the modules
    around them in training mode too.
    """
    training = [part for part in model.modules() if part.training]
    return bool(training) and all(isinstance(part, nn.modules.dropout._DropoutNd) for part in training)


def unregistered(model: nn.Module) -> list[str]:
    """Find layers in plain lists or dictionaries, whose parameters are not registered with the network."""
    result = []
    known = {id(part) for part in model.modules()}
    for name, part in model.named_modules():
        for attribute, value in vars(part).items():
            if attribute.startswith("_"):
                continue
            children = value.values() if isinstance(value, dict) else value
            if isinstance(children, list | tuple | type({}.values())) and any(
                isinstance(child, nn.Module)
                and id(child) not in known
                and any(True for _ in child.parameters())
                for child in children
            ):
                result.append(f"{name}.{attribute}" if name else attribute)
    return result


def initial_gains(model: nn.Module) -> dict[str, float]:
    """Return, for each weight that multiplies, its standard deviation times √fan_in.

    That is the factor by which a layer scales independent values: 0.58 as torch draws weights, 1.4 by He's
    rule, 0.2 to 3 in trained networks. Of recurrent layers it is that of the weights from step to step.
    """
    result: dict[str, float] = {}
    for name, part in model.named_modules():
        weights: dict[str, Tensor] = {}
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            weights = {name or type(part).__name__: part.weight}
        elif isinstance(part, nn.RNNBase):
            weights = {
                f"{name}.{n}": p for n, p in part.named_parameters(recurse=False) if n[:9] == "weight_hh"
            }
        for key, weight in weights.items():
            if isinstance(weight, UninitializedParameter) or weight.numel() < MIN_VALUES:
                continue
            values = weight.detach().reshape(-1)[:MAX_UNIFORM_VALUES].float()
            result[key] = float(values.std()) * weight[0].numel() ** 0.5
    return {name: gain for name, gain in result.items() if math.isfinite(gain)}


def is_untrained(weight: Tensor) -> bool:
    """Return whether a weight `(out, in, …)` has torch's default initialization, uniform in ±1/√fan_in.

    Training ends that distribution. Of n values uniform in ±b the largest is beyond b·(1 − 20/n) except with
    probability 10⁻⁸, none is beyond b, and the standard deviation is b/√3 with relative standard error
    0.45/√n.
    """
    if weight.dim() < 2 or weight.numel() < MIN_UNIFORM_VALUES:
        return False
    bound = weight[0].numel() ** -0.5
    values = weight.detach().reshape(-1)[:MAX_UNIFORM_VALUES].float()
    largest, spread = float(values.abs().max()), float(values.std())
    count = values.numel()
    within = bound * (1 - 20 / count) <= largest <= bound * (1 + 1e-4)
    return bool(within and abs(spread * 3**0.5 / bound - 1) < 4 * 0.45 / count**0.5)


def _is_constant(values: Tensor) -> bool:
    """Return whether all values are equal; of drawn ones the first few tell."""
    return all(bool((part == values[0]).all()) for part in (values[:SAMPLED_VALUES], values))


def _is_irregular(labels: NDArray[Any]) -> bool:
    """Return whether labels are in no order that a loop would make: not sorted, and not class by class."""
    return len(labels) >= MIN_ORDER and len(np.unique(np.diff(labels))) > 2


def _sample(parameter: nn.Parameter) -> Tensor:
    return parameter.detach().reshape(-1)[:SAMPLED_VALUES].float().cpu().clone()


class LoopFacts:
    """Accumulator of facts about a training loop.

    Args:
        model: The watched network.
        optimizers: Its optimizers.
    """

    def __init__(self, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        self._model, self._optimizers = model, optimizers
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.looks: list[dict[str, Any]] = []
        """One entry per sampled step: inputs of the loss function, stale gradients, scale of the loss."""
        self.forwards_per_step: Counter[int] = Counter()
        self.closure = False
        self.amp = False
        self.labels: Counter[int] = Counter()
        self.classes = 0
        self.label_low: int | None = None
        self.label_high: int | None = None
        self.label_error = ""
        self.batch_sizes: Counter[int] = Counter()
        self._commonest: list[float] = []
        self._neighbors = [0, 0]
        self._previous_labels: NDArray[Any] | None = None
        self._same_labels = [0, 0]
        self._checksums: Counter[float] = Counter()
        self._order: deque[float] = deque(maxlen=20_000)
        self._rates: list[float] = []
        self._inputs: dict[str, Tensor] = {}
        self._untrained_cache: dict[int, tuple[int, bool]] = {}
        self._marks: list[int] = []
        self._versions: tuple[int, ...] = ()
        self._checked = 0
        """Evaluation passes before which weights were compared."""
        self._initial: dict[str, Tensor] = {}
        self._samples: dict[str, Tensor] = {}
        self.reset: Counter[str] = Counter()
        self.unused_gradient: Counter[str] = Counter()
        self.steps_of: Counter[int] = Counter()
        """Steps of each optimizer, by its id."""
        self._reached: set[str] = set()
        """Layers with a gradient in some sampled step."""
        self.parameters = list(model.named_parameters())
        weights = [
            (n, p)
            for n, p in self.parameters
            if not isinstance(p, UninitializedParameter) and p.dim() > 1 and p.numel() > 1
        ]
        constant = [name for name, p in weights if _is_constant(p.detach().reshape(-1))]
        self._constant, self._weights = _layers_of(constant), len(weights)
        self._default = sum(is_untrained(p) for _, p in weights)
        self._gains = initial_gains(model)

    # Weights.

    def sample_weights(self) -> None:
        """Store a sample of the weights, as they are after training steps."""
        self._samples = {name: _sample(p) for name, p in self.parameters}
        self._initial = self._initial or self._samples

    def after_step(self) -> None:
        """Store the weights' version counters, which every in-place change increments."""
        self._versions = tuple(p._version for _, p in self.parameters)

    def before_forward(self) -> None:
        """Detect weights that were changed outside of an optimizer step since the last one."""
        if not self._versions or not self.counts["steps"]:
            return
        versions = tuple(p._version for _, p in self.parameters)
        if versions != self._versions:
            changed = [
                (name, p)
                for (name, p), old, new in zip(self.parameters, self._versions, versions, strict=True)
                if old != new
            ]
            self._versions = versions
            self.counts["changes_outside"] += 1
        elif self.counts["evaluations"] > self._checked:
            changed = self.parameters  # `.data` assigned between epochs has no version
        else:
            return
        self._checked = self.counts["evaluations"]
        self._count_resets([name for name, p in changed if self._is_reset(name, p)])

    def before_evaluation(self) -> None:
        """Detect first weights that were loaded again before an evaluation pass, and store a sample.

        Averaged weights are often loaded for such a pass, and have little to do with those before.
        """
        if self.counts["steps"]:
            self._count_resets([name for name, p in self.parameters if self._is_first(name, p)])
        self.sample_weights()

    def _count_resets(self, reset: Sequence[str]) -> None:
        if reset:
            self.counts["resets"] += 1
            self.reset.update(reset)
            self.sample_weights()

    def _is_first(self, name: str, parameter: nn.Parameter) -> bool:
        """Return whether a parameter has its first values again."""
        previous, first = self._samples.get(name), self._initial.get(name)
        if previous is None or first is None or parameter.dim() < 2 or parameter.numel() < MIN_VALUES:
            return False
        if previous.shape != first.shape or bool((previous == first).all()):
            return False
        current = _sample(parameter)
        return current.shape == first.shape and bool((current == first).all())

    def _is_reset(self, name: str, parameter: nn.Parameter) -> bool:
        previous = self._samples.get(name)
        if previous is None or parameter.dim() < 2 or parameter.numel() < MIN_VALUES:
            return False
        if self._is_first(name, parameter):
            return True
        current = _sample(parameter)
        if float(previous.norm()) > TINY and not bool(current.any()):
            return True
        norms = float(previous.norm() * current.norm())
        return norms > TINY and float(current @ previous) / norms < MIN_COSINE

    def layers_without_gradient(self, used: Iterable[str]) -> None:
        """Count trainable layers that ran in a sampled step but got no gradient."""
        names = set(used)
        for name, p in self.parameters:
            layer = name.rpartition(".")[0]
            if p.grad is not None:
                self._reached.add(layer)
            elif p.requires_grad and layer in names:
                self.unused_gradient[layer] += 1

    # Batches, labels and rates.

    def add_labels(self, batches: Sequence[NDArray[Any]]) -> None:
        """Count the labels of batches `(N,)` in their order, majority classes, and equal neighbors."""
        if not batches:
            return
        sizes = np.array([len(batch) for batch in batches])
        labels = np.concatenate(batches)
        low, high = int(labels.min()), int(labels.max())
        self.label_low = low if self.label_low is None else min(low, self.label_low)
        self.label_high = high if self.label_high is None else max(high, self.label_high)
        self.batch_sizes.update(sizes.tolist())
        if high - low < MAX_LABELS:
            # All batches in one pass: a row of the table for each, a column for each label.
            width = high - low + 1
            cells = np.repeat(np.arange(len(sizes)) * width, sizes) + (labels - low)
            table = np.bincount(cells, minlength=len(sizes) * width).reshape(len(sizes), width)
            self._commonest += (table.max(1) / sizes).tolist()
            if high < MAX_LABELS:
                self.labels.update(
                    {low + at: count for at, count in enumerate(table.sum(0).tolist()) if count}
                )
        for batch in batches:
            same_as_before = self._previous_labels is not None and np.array_equal(
                batch, self._previous_labels
            )
            self._same_labels[0] += same_as_before and _is_irregular(batch)
            self._same_labels[1] += 1
            self._previous_labels = batch
        same = labels[1:] == labels[:-1]
        same[np.cumsum(sizes)[:-1] - 1] = False  # not across batches
        self._neighbors[0] += int(np.count_nonzero(same))
        self._neighbors[1] += len(labels) - len(sizes)

    def add_checksums(self, sums: Iterable[float]) -> None:
        """Count batches by checksum."""
        for checksum in sums:
            if math.isfinite(checksum):
                self._checksums[checksum] += 1
                self._order.append(checksum)

    def add_input(self, part: str, images: Tensor) -> None:
        """Store mean, std and range of a batch: the first of training, the newest of other parts."""
        if images.is_floating_point() and images.numel() and not (part == "train" and part in self._inputs):
            values = images.detach().float()
            figures = (values.mean(), values.std(correction=0), values.amin(), values.amax())
            self._inputs[part] = torch.stack(figures)

    def add_rate(self, rate: float) -> None:
        """Record the rate of a step; one that is no finite number is counted, and the last one taken."""
        if not math.isfinite(rate):
            self.counts["nonfinite_rates"] += 1
            rate = self._rates[-1] if self._rates else 0.0
        self._rates.append(rate)

    def mark_epoch(self) -> None:
        """Mark the newest step as the presumed end of an epoch."""
        if self.counts["steps"] and (not self._marks or self._marks[-1] != self.counts["steps"]):
            self._marks.append(self.counts["steps"])

    def _rate_facts(self) -> dict[str, Any]:
        rates = self._rates
        if not rates:
            return {}
        moves = [b - a for a, b in itertools.pairwise(rates)]
        edges = {mark + offset for mark in self._marks for offset in (-2, -1, 0, 1)}
        directions = [move > 0 for move in moves if move]
        largest = max(rates)
        return {
            "first": rates[0],
            "last": rates[-1],
            "largest": largest,
            "smallest": min(rates),
            "changes": sum(bool(move) for move in moves),
            "changes_in_epoch": sum(bool(move) and at + 1 not in edges for at, move in enumerate(moves)),
            "reversals": sum(a != b for a, b in itertools.pairwise(directions)),
            "negligible": sum(rate < 0.01 * largest for rate in rates) / len(rates),
            "settled_at": max((at + 1 for at, move in enumerate(moves) if move), default=0),
            "fell_at": next((at for at, rate in enumerate(rates) if rate == largest), 0),
        }

    # Trainable parameters.

    def _parameter_facts(self) -> dict[str, Any]:
        optimized = {id(p) for o in self._optimizers for group in o.param_groups for p in group["params"]}
        parameters = list(self._model.named_parameters())  # of layers that were replaced since, too
        own = {id(p) for _, p in parameters}
        trainable = [(name, p) for name, p in parameters if p.requires_grad]
        missing = [(name, p) for name, p in trainable if id(p) not in optimized]
        strangers = [
            p
            for o in self._optimizers
            for group in o.param_groups
            for p in group["params"]
            if id(p) not in own
        ]
        held = [at for at, (_, p) in enumerate(trainable) if id(p) in optimized]
        behind = [
            p for at, (_, p) in enumerate(trainable) if id(p) not in optimized and held and at > held[0]
        ]
        cut_off, without_step = self._cut_off(optimized), self._without_step()
        untrained = [(name, p) for name, p in parameters if not p.requires_grad and self._untrained(p)]
        return {
            "all": sum(p.numel() for _, p in parameters),
            "trainable": sum(p.numel() for _, p in trainable),
            "missing": _layers_of([name for name, _ in missing]),
            "missing_numbers": sum(p.numel() for _, p in missing),
            "missing_untrained_numbers": sum(p.numel() for _, p in missing if self._untrained(p)),
            "missing_behind_numbers": sum(p.numel() for p in behind if self._untrained(p)),
            "missing_are_replaced": bool(missing) and _replace([p for _, p in missing], strangers),
            "held_trainable": sum(p.numel() for _, p in trainable if id(p) in optimized),
            "own_in_optimizer": len(own & optimized),
            "foreign_in_optimizer": len(optimized - own),
            "frozen": _layers_of([name for name, p in parameters if not p.requires_grad]),
            "untrained": _layers_of([name for name, _ in untrained]),
            "untrained_numbers": sum(p.numel() for _, p in untrained),
            "constant": self._constant,
            "default": self._default,
            "weights": self._weights,
            "gains": self._gains,
            "without_step": _layers_of([name for name, _ in without_step]),
            "without_step_numbers": sum(p.numel() for _, p in without_step),
            "cut_off": list(cut_off),
            "cut_off_numbers": sum(p.numel() for name, p in trainable if name.rpartition(".")[0] in cut_off),
            "unregistered": unregistered(self._model),
            "last": _last_layer(trainable),
        }

    def _cut_off(self, optimized: set[int]) -> dict[str, None]:
        """Return the first layers, as far as they run, are optimized, untrained and never get a gradient.

        Only those before the first that gets one: behind it there may be outputs that no loss uses.
        """
        result: dict[str, None] = {}
        for name, p in self.parameters:
            layer = name.rpartition(".")[0]
            if layer in self._reached:
                return result
            if layer in self.unused_gradient and id(p) in optimized and self._untrained(p):
                result[layer] = None
        return {}  # nothing is reached: it is not a part that is cut off

    def _without_step(self) -> list[tuple[str, nn.Parameter]]:
        """Return parameters with gradients, as torch draws them, that only unused optimizers hold."""
        held = [
            (bool(self.steps_of[id(o)]), {id(p) for group in o.param_groups for p in group["params"]})
            for o in self._optimizers
        ]
        stepped = {one for has, ids in held if has for one in ids}
        waiting = {one for has, ids in held if not has for one in ids}
        return [
            (name, p)
            for name, p in self.parameters
            if id(p) in waiting - stepped and name.rpartition(".")[0] in self._reached and self._untrained(p)
        ]

    def _untrained(self, weight: nn.Parameter) -> bool:
        """Return whether a weight that is not updated is untrained; tested again only after a change."""
        known = self._untrained_cache.get(id(weight))
        if known is None or known[0] != weight._version:
            known = self._untrained_cache[id(weight)] = (weight._version, is_untrained(weight))
        return known[1]

    def body(self) -> dict[str, Any]:
        """Return all facts as JSON-compatible values."""
        most_common = self._checksums.most_common(1)
        batches = sum(self._checksums.values())
        return {
            "counts": dict(self.counts),
            "notes": self.notes,
            "looks": self.looks,
            "forwards_per_step": {str(k): n for k, n in self.forwards_per_step.items()},
            "closure": self.closure,
            "amp": self.amp,
            "modes": sorted(mode_layers(self._model)),
            "classes": self.classes,
            "labels": [self.labels.get(i, 0) for i in range(max(self.labels, default=-1) + 1)]
            if min(self.labels, default=0) >= 0
            else [],
            "label_low": self.label_low,
            "label_high": self.label_high,
            "label_error": self.label_error,
            "batch_size": self.batch_sizes.most_common(1)[0][0] if self.batch_sizes else 0,
            "commonest": sum(self._commonest) / len(self._commonest) if self._commonest else None,
            "neighbours_alike": self._neighbors[0] / self._neighbors[1] if self._neighbors[1] else None,
            "labels_again": self._same_labels[0] / max(self._same_labels[1] - 1, 1),
            "batches": batches,
            "distinct_batches": len(self._checksums),
            "most_repeated": most_common[0][1] if most_common else 0,
            "repeated_in_a_row": sum(a == b for a, b in itertools.pairwise(self._order))
            / max(len(self._order) - 1, 1),
            "marks": self._marks[:200],
            "rates": self._rate_facts(),
            "inputs": {
                part: dict(zip(("mean", "spread", "low", "high"), figures.tolist(), strict=True))
                for part, figures in self._inputs.items()
                if bool(figures.isfinite().all())
            },
            "parameters": self._parameter_facts(),
            "reset": dict(self.reset),
            "without_gradient": dict(self.unused_gradient),
            "optimizers": [type(o).__name__ for o in self._optimizers],
        }


def _replace(missing: Sequence[nn.Parameter], strangers: Sequence[Tensor]) -> bool:
    """Return whether foreign parameters are what the missing ones were before they were replaced.

    They have the same shapes, or, as of layers of another size, as many of each number of dimensions.
    """
    if Counter(tuple(p.shape) for p in missing) <= Counter(tuple(p.shape) for p in strangers):
        return True
    return Counter(p.dim() for p in missing) == Counter(p.dim() for p in strangers)


def _layers_of(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))


def _last_layer(trainable: list[tuple[str, nn.Parameter]]) -> str:
    return _layers_of([name for name, _ in trainable])[-1] if trainable else ""
