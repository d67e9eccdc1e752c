"""A checkpoint: one safetensors file with all that a run needs to go on, complete or absent.

Nothing random is stored: what is random in a step follows from the recipe's seed and the step (see
`derive_seed`), so the step is enough.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cnnviz.formats.safetensors_header import HeaderError, header_length
from cnnviz.sentences import full_stop
from cnnviz.training.data.transforms import Statistics
from cnnviz.training.optimizer import EarlyStopping, Plateau

# What a model takes and what its answers mean: stored in every checkpoint, so that one can use it alone.

_PREFIX = "statistics."


@dataclass(frozen=True)
class Interface:
    """Classes in the order of the logits, `(H, W)` of the input, and the training images' statistics.

    The statistics' mean image has the shape `(C, H, W)` that the data's images are stored in.
    """

    classes: tuple[str, ...]
    side: tuple[int, int]
    statistics: Statistics

    def details(self) -> str:
        """All but the tensors, as JSON."""
        return json.dumps({"classes": self.classes, "side": self.side}, ensure_ascii=False)

    def tensors(self) -> dict[str, Tensor]:
        """The statistics under names that no weight has."""
        return {_PREFIX + field.name: getattr(self.statistics, field.name) for field in fields(Statistics)}

    @classmethod
    def read(cls, details: str, stored: Mapping[str, Tensor]) -> Interface:
        """The inverse of `details` and `tensors`."""
        values: dict[str, Any] = json.loads(details)
        statistics = Statistics(**{field.name: stored[_PREFIX + field.name] for field in fields(Statistics)})
        return cls(tuple(values["classes"]), (values["side"][0], values["side"][1]), statistics)


FORMAT = "cnnviz-checkpoint/1"
_MODEL, _OPTIMISER = "model.", "optimiser."


@dataclass(frozen=True)
class Position:
    """Where a run stands, beside its weights."""

    step: int
    """Steps done."""
    recipe: str
    """The recipe's JSON."""
    plateau: Plateau
    tally: tuple[float, ...]
    """Loss, correct answers and images, summed over this epoch so far, then over the steps not yet told."""
    threads: int
    fingerprint: str
    score: float | None = None
    """Validation accuracy, where one was measured."""
    predicted: tuple[int, ...] = ()
    """How many training images were given each class in this epoch so far; older files have none."""
    auxiliary: tuple[float, ...] = ()
    """Loss of each auxiliary classifier, summed over the steps not yet told; older files have none."""
    stopping: EarlyStopping | None = None
    """What early stopping has seen; None in runs without it."""
    world: int = 1
    """How many ranks trained: bits are the same at the same number."""


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds, the optimiser's state left out."""

    position: Position
    weights: dict[str, Tensor]
    """The model's state dict."""
    interface: Interface | None
    """None in checkpoints that were written before it was stored."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint will hold, copied into the processor's memory: training may go on."""

    details: dict[str, str]
    tensors: dict[str, Tensor]


def snapshot(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    position: Position,
    interface: Interface | None = None,
) -> Snapshot:
    """Copy weights, buffers and the optimizer's state once."""
    details = {"format": FORMAT, "position": json.dumps(asdict(position))}
    tensors = {name: _copied(tensor) for name, tensor in _tensors(model, optimiser)}
    if interface is not None:
        details["interface"] = interface.details()
        tensors |= {name: tensor.cpu().contiguous() for name, tensor in interface.tensors().items()}
    return Snapshot(details, tensors)


def _copied(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.device.type == "cpu":
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor.cpu().contiguous()


def write(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    position: Position,
    interface: Interface | None = None,
) -> None:
    """Write a checkpoint and return when it is on the disk; raises `OSError` as `write_snapshot` does."""
    write_snapshot(path, snapshot(model, optimiser, position, interface))


def write_snapshot(path: Path, contents: Snapshot) -> None:
    """Write everything to a temporary name, flush it to the disk, and rename it into place.

    Raises `OSError` where that fails; a checkpoint that was there before is then still whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(save(contents.tensors, metadata=contents.details))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class BackgroundWriter:
    """Writes checkpoints in a thread of its own, one at a time; what fails there is raised in the caller's.

    A checkpoint is begun when the one before is on the disk, so that at most one snapshot is held.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Begin `work`, after what was begun before; raises what that raised."""
        self.wait()
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoint")
        self._pending = self._thread.submit(work)

    def poll(self) -> None:
        """Raise what was raised, if it is over; wait for nothing."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Return when everything is on the disk; raises what was raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Let what was begun come to its end, whatever that is, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


def clear(folder: Path) -> None:
    """Remove what a worker left that was killed while it wrote a checkpoint into the folder."""
    for leftover in folder.glob(".*.safetensors.*.tmp"):
        leftover.unlink(missing_ok=True)


def position_of(path: Path) -> Position:
    """Where a checkpoint stands; raises `ValueError` for a file that is none."""
    with _opened(path) as file:
        return _position(file.metadata())


def read(path: Path) -> Stored:
    """Everything but the optimiser, from one look at the file, which a run may replace meanwhile.

    Raises `ValueError` for a file that is no checkpoint.
    """
    with _opened(path) as file:
        details = file.metadata()
        names = [name for name in file.keys() if not name.startswith(_OPTIMISER)]  # noqa: SIM118 (no mapping)
        stored = {name: file.get_tensor(name) for name in names}
    known = details.get("interface")
    interface = None if known is None else Interface.read(known, stored)
    return Stored(_position(details), _weights(stored), interface)


def restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Position:
    """Load weights (and the optimiser's state) in place; raises `ValueError` where they do not fit."""
    with _opened(path) as file:
        position = _position(file.metadata())
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    try:
        model.load_state_dict(_weights(stored))
    except RuntimeError as error:
        raise ValueError(f"{path.name} does not fit this model: {' '.join(str(error).split())}") from None
    if optimiser is not None:
        _restore_optimiser(optimiser, stored)
    return position


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        header_length(path)
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                raise ValueError(f"{path.name} is no checkpoint of this version ({FORMAT}).")
            yield file
    except HeaderError as error:
        raise ValueError(f"{path.name} is no checkpoint: it {error}.") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(full_stop(f"{path.name} is no checkpoint: {error}")) from None


def _position(details: dict[str, str]) -> Position:
    values: dict[str, Any] = json.loads(details["position"])
    plateau = Plateau(**values.pop("plateau"))
    stopping = values.pop("stopping", None)
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    seen = None if stopping is None else EarlyStopping(**stopping)
    return Position(**(values | lists | {"plateau": plateau, "stopping": seen}))


def _weights(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_MODEL): value for name, value in stored.items() if name.startswith(_MODEL)}


def _tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        yield _MODEL + name, tensor
    for number, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            if value is not None:
                yield f"{_OPTIMISER}{number}.{key}", torch.as_tensor(value)


def _restore_optimiser(optimiser: torch.optim.Optimizer, stored: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in stored.items():
        if name.startswith(_OPTIMISER):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for parameter, values in optimiser.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Fused kernels walk through memory, and take it for granted that all of it is laid out alike.
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
