"""Device classes: the device that a run requests, and the devices of a machine that satisfy the request.

A class is `any`, `cpu`, `gpu`, a count of one kind (`cpu:2`, `gpu:4`), or one device by name (`cuda:1`,
`mps`). Devices have torch's names; several devices held by one run are joined by commas. The machine that
claims a run picks the devices with `choose`. A cluster numbers its devices: GPUs are `cuda:0`, `cuda:1`, …,
and slots for runs on the CPU are `cpu`, `cpu:1`, `cpu:2`, …, of which a run with more ranks than a slot has
cores takes several.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

ANY, CPU, GPU = "any", "cpu", "gpu"
MAX_RANKS = 64
"""Maximum number of processes of one run."""
_COUNTED = re.compile(r"(cpu|gpu):(\d{1,2})")
_CPU_SLOT = re.compile(r"cpu(:\d{1,4})?")
_SAME = {"auto": ANY, "cuda": GPU, "cuda:0": GPU, "cpu:1": CPU, "gpu:1": GPU}


def class_of(device: str) -> str:
    """Return the class that a recipe's device requests: `auto` is any, `cuda` and `cuda:0` are a GPU."""
    return _SAME.get(device, device)


def ranks(device_class: str) -> int:
    """Return the number of processes (ranks) that train a run of this class."""
    counted = _COUNTED.fullmatch(device_class)
    return max(1, int(counted[2])) if counted else 1


def split(device: str) -> tuple[str, ...]:
    """Split the device string of a run into device names."""
    return tuple(filter(None, device.split(",")))


def is_gpu(device: str) -> bool:
    """Return whether a device name or a device class is a GPU's."""
    return device.startswith(("cuda", "mps", GPU))


def gpus(devices: Iterable[str]) -> list[str]:
    """Return the GPUs among devices, in numerical order."""
    return sorted((device for device in devices if is_gpu(device)), key=lambda name: (len(name), name))


def cpu_slots(devices: Iterable[str]) -> list[str]:
    """Return the CPU slots among devices, in numerical order; a single machine has one."""
    names = (device for device in devices if _CPU_SLOT.fullmatch(device))
    return sorted(names, key=lambda name: (len(name), name))


def choose(
    device_class: str,
    free: Collection[str],
    every: Collection[str] | None = None,
    ranks_per_slot: int = MAX_RANKS,
) -> tuple[str, ...] | None:
    """Select the devices of a machine for a run, or None if the machine cannot serve it now.

    The class `any` selects a GPU, and the CPU on a machine without GPUs.

    Args:
        device_class: The class that the run requests.
        free: Devices that no run holds.
        every: All devices of the machine, including those in use; `free` by default.
        ranks_per_slot: Number of a run's ranks that one CPU slot has room for: a machine's only slot has
            room for all, a cluster's for as many as it has cores.
    """
    known = gpus(free if every is None else every)
    if device_class == ANY:
        device_class = GPU if known else CPU
    match = _COUNTED.fullmatch(device_class)
    if device_class == CPU or (match and match[1] == CPU):
        slot_count = -(-ranks(device_class) // ranks_per_slot)
        return _first(cpu_slots(free), slot_count)
    if device_class == GPU or match:
        return _first(gpus(free), ranks(device_class))
    return (device_class,) if device_class in free else None


def _first(names: list[str], count: int) -> tuple[str, ...] | None:
    return tuple(names[:count]) if len(names) >= count else None


def classes_of(device: str) -> tuple[str, ...]:
    """Return the classes that a device, or several joined by commas, can serve."""
    names = split(device)
    if len(names) > 1:
        return (f"{GPU if is_gpu(device) else CPU}:{len(names)}",)
    return (ANY, GPU, device) if is_gpu(device) else tuple(dict.fromkeys((ANY, device)))


def describe(devices: Collection[str]) -> str:
    """Describe devices in words: `CPU`, `CPU and 2 GPUs`, `3 runs on the CPU`."""
    count, slots = len(gpus(devices)), len(cpu_slots(devices))
    cpu = f"{slots} runs on the CPU" if slots > 1 else "CPU" if slots else ""
    gpu = f"{count} GPU{'s' if count > 1 else ''}" if count else ""
    return " and ".join(filter(None, (cpu, gpu))) or "no device"
