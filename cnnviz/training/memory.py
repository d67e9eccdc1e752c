"""A GPU's memory that did not suffice: how much was needed, and which batch would fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

_SPARE = 0.97
"""Part of the memory that may be planned with: the rest goes to gaps between tensors."""
_GIB = 2**30


class TooLittleMemoryError(ValueError):
    """A run does not fit into the device's memory; the message says what would."""


class Gauge(Protocol):
    """Measures a device's memory."""

    name: str
    """What people call the device."""

    def available(self) -> int:
        """Bytes that this process holds or could have."""

    def peak(self, work: Callable[[], None]) -> int:
        """Bytes in tensors at the most while `work` runs; raises `torch.OutOfMemoryError`."""


class CudaGauge:
    """Of one GPU."""

    def __init__(self, device: torch.device) -> None:
        self.name, self._device = torch.cuda.get_device_name(device), device

    def available(self) -> int:
        """What is free, and what torch holds for tensors; a CUDA graph's pool is gone by then."""
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device)

    def peak(self, work: Callable[[], None]) -> int:
        """From the allocator's own count."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device)


@dataclass(frozen=True)
class Need:
    """Bytes of a step: what weights, data and optimiser take, and what each image of the batch adds."""

    fixed: float
    image: float

    def of(self, batch: int) -> float:
        """A step of so many images."""
        return self.fixed + self.image * batch

    def largest(self, available: float) -> int:
        """The most images that fit, a multiple of 8 where there are so many; 0 where not even one does."""
        most = max(0, int((available * _SPARE - self.fixed) / max(self.image, 1)))
        return most - most % 8 if most >= 8 else most


def measured(peak: Callable[[int], int], batch: int) -> Need | None:
    """The need, from steps of two smaller batches that do fit; None where none of two images does.

    `peak(n)` makes the forward and backward pass of n images and tells the most memory in use.
    """
    count = max(2, batch // 4)
    while True:
        try:
            large, small = peak(count), peak(count // 2)
        except torch.OutOfMemoryError:
            if count == 2:
                return None
            count = max(2, count // 2)
            continue
        image = max(0.0, (large - small) / (count - count // 2))
        return Need(large - image * count, image)


def out_of_memory_message(gauge: Gauge, probe: Callable[[int], None], batch: int, to_come: int = 0) -> str:
    """What is to be said after a step of `batch` images ran out of memory.

    Args:
        gauge: Of the device.
        probe: Makes the forward and backward pass of so many images, and leaves nothing behind.
        batch: The batch that did not fit.
        to_come: Bytes that the optimiser would still take with its first step.
    """
    available = gauge.available()
    need = measured(lambda count: gauge.peak(lambda: probe(count)), batch)
    if need is None:
        return (
            f"{gauge.name} has {available / _GIB:.1f} GiB for this run: too little for a batch of two images."
        )
    need = Need(need.fixed + to_come, need.image)
    fits = min(need.largest(available), batch - 1)
    advice = f"a batch of {fits} would fit" if fits else "not even one image would fit"
    return (
        f"A step of {batch} images needs about {need.of(batch) / _GIB:.1f} GiB on {gauge.name}, where "
        f"{available / _GIB:.1f} GiB are to be had; {advice}."
    )
