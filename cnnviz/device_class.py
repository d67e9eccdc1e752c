"""Classes of devices: what a run asks for, and which devices of a machine serve it.

A class is `any`, `cpu`, `gpu`, so many of one kind (`cpu:2`, `gpu:4`), or one device by its name (`cuda:1`,
`mps`). A device is what torch calls it; several devices that one run holds are joined by commas. The machine
that claims a run decides, by `choose`. A cluster numbers what it has: its GPUs are `cuda:0`, `cuda:1`, …, and
its places for runs on the CPU `cpu`, `cpu:1`, `cpu:2`, ….
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

ANY, CPU, GPU = "any", "cpu", "gpu"
MOST_RANKS = 64
"""Processes of one run."""
_COUNTED = re.compile(r"(cpu|gpu):(\d{1,2})")
_CPU_SLOT = re.compile(r"cpu(:\d{1,4})?")
_SAME = {"auto": ANY, "cuda": GPU, "cuda:0": GPU, "cpu:1": CPU, "gpu:1": GPU}


def class_of(device: str) -> str:
    """The class that a recipe's device asks for: `auto` is any, `cuda` and `cuda:0` are a GPU."""
    return _SAME.get(device, device)


def ranks(device_class: str) -> int:
    """How many processes train a run of this class together."""
    counted = _COUNTED.fullmatch(device_class)
    return max(1, int(counted[2])) if counted else 1


def split(device: str) -> tuple[str, ...]:
    """The devices that a run holds, by name."""
    return tuple(filter(None, device.split(",")))


def is_gpu(device: str) -> bool:
    """Whether a device's name, or a class, is a GPU's."""
    return device.startswith(("cuda", "mps", GPU))


def gpus(devices: Iterable[str]) -> list[str]:
    """The GPUs among devices, in the order of their numbers."""
    return sorted((device for device in devices if is_gpu(device)), key=lambda name: (len(name), name))


def cpu_slots(devices: Iterable[str]) -> list[str]:
    """The places for runs on the CPU among devices, in the order of their numbers; one on a machine."""
    found = (device for device in devices if _CPU_SLOT.fullmatch(device))
    return sorted(found, key=lambda name: (len(name), name))


def choose(
    device_class: str, free: Collection[str], every: Collection[str] | None = None
) -> tuple[str, ...] | None:
    """The devices of a machine that a run gets; None where the machine cannot serve it now.

    Whoever asks for any device gets a GPU, and the CPU on a machine that has none.

    Args:
        device_class: What it asks for.
        free: Devices that no run holds.
        every: All devices of the machine, held ones too; as `free` by default.
    """
    known = gpus(free if every is None else every)
    if device_class == ANY:
        device_class = GPU if known else CPU
    counted = _COUNTED.fullmatch(device_class)
    if device_class == CPU or (counted and counted[1] == CPU):
        return tuple(cpu_slots(free)[:1]) or None
    if device_class == GPU or counted:
        wanted = ranks(device_class)
        found = gpus(free)[:wanted]
        return tuple(found) if len(found) == wanted else None
    return (device_class,) if device_class in free else None


def classes_of(device: str) -> tuple[str, ...]:
    """The classes that a device serves by itself, or several joined by commas together."""
    names = split(device)
    if len(names) > 1:
        return (f"{GPU}:{len(names)}",)
    return (ANY, GPU, device) if is_gpu(device) else tuple(dict.fromkeys((ANY, device)))


def describe(devices: Collection[str]) -> str:
    """Devices in words: `CPU`, `CPU and 2 GPUs`, `3 runs on the CPU`."""
    count, slots = len(gpus(devices)), len(cpu_slots(devices))
    cpu = f"{slots} runs on the CPU" if slots > 1 else "CPU" if slots else ""
    gpu = f"{count} GPU{'s' if count > 1 else ''}" if count else ""
    return " and ".join(filter(None, (cpu, gpu))) or "no device"
