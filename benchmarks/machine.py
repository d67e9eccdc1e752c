"""What a figure was measured on, and how much memory a call took."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from cnnviz.training.run_logger import processor


def describe(*packages: str) -> str:
    """Processor, cores, memory, Python and the versions of `packages`, in two lines."""
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}\n"
        f"Python {platform.python_version()}, {versions}"
    )


@dataclass
class Peak:
    """The most memory that a block of code took beyond what was held before it; 0 where nobody tells."""

    bytes: int = 0


@contextmanager
def memory_peak() -> Iterator[Peak]:
    """Measure with the kernel's high-water mark, which is set back first (Linux)."""
    peak, reset = Peak(), Path("/proc/self/clear_refs")
    if not reset.exists():
        yield peak
        return
    reset.write_text("5")
    before = _status("VmRSS")
    yield peak
    peak.bytes = max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
