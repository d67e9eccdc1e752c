"""What a device can do at most, and how much memory is in use: what a run's speed is compared with."""

from __future__ import annotations

import functools
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

PASSES = 3
"""A training step is about three forward passes: the gradients of inputs and of weights cost one each."""

_DATA_SHEETS: dict[tuple[str, ...], tuple[float, float]] = {
    ("H100", "PCIe"): (756e12, 378e12),
    ("H100", "NVL"): (835e12, 417e12),
    ("H100",): (989e12, 494e12),
    ("H200",): (989e12, 494e12),
    ("A100",): (312e12, 156e12),
    ("L40S",): (362e12, 183e12),
    ("L4",): (121e12, 60e12),
    ("A10",): (125e12, 62.5e12),
}
"""Tensor-core operations a second in bf16 and in TF32, without sparsity: NVIDIA's product data sheets of
H100 (2024), H200 (2024), A100 (2021), L40S (2023), L4 (2023), A10 (2021). All name the figures for sparse
matrices where there are two; these are the halves. A name's words must all occur in the device's name."""


@dataclass(frozen=True)
class PeakFlops:
    """Floating-point operations a second, at most; `basis` says for which numbers and from what."""

    flops: float
    basis: str

    def used(self, macs: int, images_per_second: float) -> float:
        """Model FLOPs utilisation (Chowdhery et al., 2022): two operations a MAC, three passes a step."""
        return 2 * PASSES * macs * images_per_second / self.flops


@functools.cache
def peak_flops(device: torch.device, precision: str, threads: int) -> PeakFlops:
    """The device's peak: of a known GPU from its data sheet, else the best of a few matrix products.

    `threads` counts for the CPU only: the same question is measured once in a process.
    """
    if device.type == "cuda":
        listed = from_data_sheet(torch.cuda.get_device_name(device), precision)
        if listed is not None:
            return listed
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return PeakFlops(_measured(device, dtype), f"{precision}, the best of a few matrix products here")


def from_data_sheet(name: str, precision: str) -> PeakFlops | None:
    """The peak of a GPU by the name that its driver gives, or None. In fp32 it is TF32's: cuDNN uses that."""
    words = set(re.split(r"[^A-Za-z0-9]+", name))
    for wanted, (half, single) in _DATA_SHEETS.items():
        if words.issuperset(wanted):
            return (
                PeakFlops(half, "bf16, data sheet")
                if precision == "bf16"
                else PeakFlops(single, "TF32, data sheet")
            )
    return None


def memory_in_use(device: torch.device) -> int:
    """Bytes: the most that tensors took on a GPU so far, the process's resident set elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss


def device_name(device: torch.device) -> str:
    """What people call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()


def processor() -> str:
    """The CPU's name as its maker gives it, where the system tells, else its architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


MOST_SECONDS = 0.25
"""Spent on a device's peak after the first product, which loads the library."""


def _measured(device: torch.device, dtype: torch.dtype, tries: int = 6) -> float:
    side = 4096 if device.type == "cuda" else 1024
    one = torch.ones(side, side, dtype=dtype, device=device)
    best, end = float("inf"), float("inf")
    for _ in range(tries):
        if time.perf_counter() > end:
            break
        _wait(device)
        start = time.perf_counter()
        one @ one
        _wait(device)
        best = min(best, time.perf_counter() - start)
        end = min(end, time.perf_counter() + MOST_SECONDS)
    return 2 * side**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
