"""Checkpoint: one safetensors file with everything needed to resume a run, written atomically.

No random state is stored: random numbers of a step are derived from the recipe's seed and the step (see
`derive_seed`), so the step suffices.
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

from cnnviz.formats.headers import HeaderError, header_length
from cnnviz.sentences import full_stop
from cnnviz.training.data.transforms import Statistics
from cnnviz.training.optimizer import EarlyStopping, Plateau

# Model signature: stored in every checkpoint, so that it can be used on its own.

_PREFIX = "statistics."


@dataclass(frozen=True)
class ModelSignature:
    """Model signature: classes in logit order, input size `(H, W)`, statistics of the training images.

    The mean image has the shape `(C, H, W)` of the stored images.
    """

    classes: tuple[str, ...]
    side: tuple[int, int]
    statistics: Statistics

    def details(self) -> str:
        """Return everything but the tensors as JSON."""
        return json.dumps({"classes": self.classes, "side": self.side}, ensure_ascii=False)

    def tensors(self) -> dict[str, Tensor]:
        """Return the statistics under names that no weight has."""
        return {_PREFIX + field.name: getattr(self.statistics, field.name) for field in fields(Statistics)}

    @classmethod
    def read(cls, details: str, stored: Mapping[str, Tensor]) -> ModelSignature:
        """Reconstruct it from the results of `details` and `tensors`."""
        values: dict[str, Any] = json.loads(details)
        statistics = Statistics(**{field.name: stored[_PREFIX + field.name] for field in fields(Statistics)})
        return cls(tuple(values["classes"]), (values["side"][0], values["side"][1]), statistics)


FORMAT = "cnnviz-checkpoint/1"
_MODEL, _OPTIMISER = "model.", "optimiser."


@dataclass(frozen=True)
class Position:
    """Training state except weights and optimizer state."""

    step: int
    """Number of completed steps."""
    recipe: str
    """The recipe as JSON."""
    plateau: Plateau
    tally: tuple[float, ...]
    """Sums of loss, correct predictions and images, over this epoch and over the steps not yet reported."""
    threads: int
    fingerprint: str
    score: float | None = None
    """Validation accuracy, if measured."""
    predicted: tuple[int, ...] = ()
    """Number of training images predicted as each class in this epoch; empty in older files."""
    auxiliary: tuple[float, ...] = ()
    """Summed loss of each auxiliary classifier over steps not yet reported; empty in older files."""
    stopping: EarlyStopping | None = None
    """State of early stopping; None without it."""
    world: int = 1
    """Number of ranks: results are bit-identical for the same number."""


@dataclass(frozen=True)
class CheckpointContents:
    """Contents of a checkpoint without the optimizer's state."""

    position: Position
    weights: dict[str, Tensor]
    """The model's state dict."""
    signature: ModelSignature | None
    """None in checkpoints of versions that did not store it."""


@dataclass(frozen=True)
class Snapshot:
    """Contents of a checkpoint to be written, copied to host memory, so that training can continue."""

    details: dict[str, str]
    tensors: dict[str, Tensor]


def snapshot(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    signature: ModelSignature | None = None,
) -> Snapshot:
    """Copy weights, buffers and optimizer state to host memory."""
    details = {"format": FORMAT, "position": json.dumps(asdict(position))}
    tensors = {name: _copied(tensor) for name, tensor in _tensors(model, optimizer)}
    if signature is not None:
        details["interface"] = signature.details()
        tensors |= {name: tensor.cpu().contiguous() for name, tensor in signature.tensors().items()}
    return Snapshot(details, tensors)


def _copied(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.device.type == "cpu":
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor.cpu().contiguous()


def write(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    signature: ModelSignature | None = None,
) -> None:
    """Write a checkpoint and return after it is synced to disk; raise `OSError` as `write_snapshot` does."""
    write_snapshot(path, snapshot(model, optimizer, position, signature))


def write_snapshot(path: Path, contents: Snapshot) -> None:
    """Write a snapshot to a temporary file, sync it to disk, and rename it.

    Raises:
        OSError: Writing failed; an existing checkpoint is intact.
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
    """Thread that writes checkpoints one at a time; its errors are raised in the calling thread.

    A checkpoint is started after the previous one is on disk, so at most one snapshot is held.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Start `work` after the previous one has ended; raise the previous one's error."""
        self.wait()
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoint")
        self._pending = self._thread.submit(work)

    def poll(self) -> None:
        """Raise the error of finished work, without waiting."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Wait until everything is on disk; raise its error."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait for pending work, ignoring its errors, and stop the thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


def clear(folder: Path) -> None:
    """Delete temporary files of a worker that was killed while it wrote a checkpoint."""
    for leftover in folder.glob(".*.safetensors.*.tmp"):
        leftover.unlink(missing_ok=True)


def position_of(path: Path) -> Position:
    """Read the training state of a checkpoint; raise `ValueError` for another file."""
    with _opened(path) as file:
        return _position(file.metadata())


def read(path: Path) -> CheckpointContents:
    """Read everything but the optimizer state in one pass; a running worker may replace the file meanwhile.

    Raises:
        ValueError: The file is no checkpoint.
    """
    with _opened(path) as file:
        details = file.metadata()
        names = [name for name in file.keys() if not name.startswith(_OPTIMISER)]  # noqa: SIM118 (no mapping)
        stored = {name: file.get_tensor(name) for name in names}
    written = details.get("interface")
    signature = None if written is None else ModelSignature.read(written, stored)
    return CheckpointContents(_position(details), _weights(stored), signature)


def restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Position:
    """Load weights (and optimizer state) in place; raise `ValueError` if they do not match."""
    with _opened(path) as file:
        position = _position(file.metadata())
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    try:
        model.load_state_dict(_weights(stored))
    except RuntimeError as error:
        raise ValueError(f"{path.name} does not fit this model: {' '.join(str(error).split())}") from None
    if optimizer is not None:
        _restore_optimizer(optimizer, stored)
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
    early_stopping = None if stopping is None else EarlyStopping(**stopping)
    return Position(**(values | lists | {"plateau": plateau, "stopping": early_stopping}))


def _weights(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_MODEL): value for name, value in stored.items() if name.startswith(_MODEL)}


def _tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        yield _MODEL + name, tensor
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if value is not None:
                yield f"{_OPTIMISER}{number}.{key}", torch.as_tensor(value)


def _restore_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in stored.items():
        if name.startswith(_OPTIMISER):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Fused kernels require the same memory layout for parameters and state.
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
