"""Process state: capture before, and restoration after a run, so that a worker can be reused.

The next run must be bit-identical to one in a new process. If the state cannot be restored, `restore` returns
False and the worker is replaced.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch.nn.modules import module as torch_module

from cnnviz.datasets import Dataset, Part
from cnnviz.training.recipe import Recipe
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training, devices
from cnnviz.training.trainer import Trainer

MAX_GROWTH = 512 * 2**20
"""Maximum growth of the process's own memory in bytes since before its first run."""
THREADS_SECONDS = 1.0
"""Maximum time in which threads started by a run must end."""
_AUTOCAST = ("cpu", "cuda")


__all__ = ["ProcessState", "devices", "warm_up"]


@dataclass(frozen=True)
class ProcessState:
    """Process state before the first run: random states, torch settings, environment, memory."""

    setters: tuple[Callable[[], object], ...]
    environment: dict[str, str]
    folder: str
    search_path: tuple[str, ...]
    hooks: dict[str, dict[Any, Any]]
    """torch's global module hooks."""
    filters: tuple[Any, ...]
    threads: frozenset[threading.Thread]
    """The threads themselves: the system gives the number of a thread that ended to a later one."""
    bytes: int

    @classmethod
    def capture(cls) -> ProcessState:
        """Capture the state."""
        return cls(
            setters=tuple(_setters()),
            environment=dict(os.environ),
            folder=os.getcwd(),
            search_path=tuple(sys.path),
            hooks={name: dict(hooks) for name, hooks in _global_hooks().items()},
            filters=tuple(warnings.filters),
            threads=frozenset(threading.enumerate()),
            bytes=_own_bytes(),
        )

    def restore(self) -> bool:
        """Restore the state, free memory, and return whether the process is as good as new."""
        for setter in self.setters:
            setter()
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        sys.path[:] = self.search_path
        warnings.filters[:] = self.filters  # type: ignore[index]
        for name, hooks in _global_hooks().items():
            hooks.clear()
            hooks.update(self.hooks.get(name, {}))
        _free_memory()
        return self._threads_ended() and not _gpu_bytes() and _own_bytes() - self.bytes <= MAX_GROWTH

    def _threads_ended(self) -> bool:
        deadline = time.monotonic() + THREADS_SECONDS
        for thread in threading.enumerate():
            if thread not in self.threads and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    return False
        return True


def _setters() -> list[Callable[[], object]]:
    """Return functions that set each setting to its present value."""
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    threads, dtype, errors = torch.get_num_threads(), torch.get_default_dtype(), np.geterr()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    gradients, anomaly = torch.is_grad_enabled(), torch.is_anomaly_enabled()
    check_nan = torch.is_anomaly_check_nan_enabled()
    autocast = {device: torch.is_autocast_enabled(device) for device in _AUTOCAST}
    autocast_dtype = {device: torch.get_autocast_dtype(device) for device in _AUTOCAST}
    setters: list[Callable[[], object]] = [
        lambda: random.setstate(python),
        lambda: np.random.set_state(numpy),
        lambda: torch.set_rng_state(torch_state),
        lambda: torch.set_num_threads(threads),
        lambda: torch.set_default_dtype(dtype),
        lambda: torch.set_default_device(None),
        lambda: np.seterr(**errors),
        lambda: torch.use_deterministic_algorithms(deterministic, warn_only=warn_only),
        lambda: torch.set_grad_enabled(gradients),
        lambda: torch.autograd.set_detect_anomaly(anomaly, check_nan),
        lambda: torch.set_flush_denormal(False),
        *(lambda d=d, on=on: torch.set_autocast_enabled(d, on) for d, on in autocast.items()),
        *(lambda d=d, kind=kind: torch.set_autocast_dtype(d, kind) for d, kind in autocast_dtype.items()),
    ]
    if _has_gpu_context():
        states = torch.cuda.get_rng_state_all()
        setters.append(lambda: torch.cuda.set_rng_state_all(states))
    precision = torch.get_float32_matmul_precision()
    setters.append(lambda: torch.set_float32_matmul_precision(precision))
    return setters + [_setter(owner, name) for owner, name in _backend_settings()]


def _setter(owner: Any, name: str) -> Callable[[], object]:
    value = getattr(owner, name)
    return lambda: setattr(owner, name, value)


def _backend_settings() -> list[tuple[Any, str]]:
    backends = torch.backends
    return [
        *((backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")),
        (backends.cuda.matmul, "allow_tf32"),
        (backends.cuda.matmul, "allow_fp16_reduced_precision_reduction"),
        (backends.cuda.matmul, "allow_bf16_reduced_precision_reduction"),
    ]


def _global_hooks() -> dict[str, dict[Any, Any]]:
    """Return torch's global module hooks by variable name."""
    attributes = vars(torch_module).items()
    return {
        name: hooks for name, hooks in attributes if name.startswith("_global_") and isinstance(hooks, dict)
    }


def _free_memory() -> None:
    """Free unused memory of Python, torch, and the C library."""
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()
    gc.collect()
    if _has_gpu_context():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError, AttributeError):  # glibc only.
        ctypes.CDLL(None).malloc_trim(0)


def _has_gpu_context() -> bool:
    """Return whether this process has a CUDA context, without creating one."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _gpu_bytes() -> int:
    """Return the bytes of tensors on GPUs, which a finished run should not hold."""
    if not _has_gpu_context():
        return 0
    return sum(torch.cuda.memory_allocated(device) for device in range(torch.cuda.device_count()))


def _own_bytes() -> int:
    """Return the process's memory without mapped files, which the system can reclaim."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


# Warm-up of an idle worker: imports and first calls, which take seconds.

_IMAGES = 20


def warm_up() -> None:
    """Warm up: train LeNet briefly on the default device, so that every part has been called once."""
    importlib.import_module("torchvision")
    recipe = Recipe(epochs=1, batch_size=10, validation=0.5)
    setup = build_training(recipe, _noise())
    Trainer(recipe, setup.model, setup.data_module, setup.side, InMemoryLogger()).run()


def _noise() -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (_IMAGES, 1, 28, 28)).astype(np.uint8)
    part = Part(images, np.arange(_IMAGES) % 2)
    return Dataset("noise", "Noise", ("even", "odd"), part, part, "", (), Path())
