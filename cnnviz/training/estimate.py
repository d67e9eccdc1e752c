"""Estimates of a run's time, memory and disk space, and of its waiting time in the queue.

They come from its network and the speed of earlier runs. Importing this module does not import torch; an
estimate needs it only if the network's analysis is not precomputed.
"""

from __future__ import annotations

import functools
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cnnviz import datasets, tracking
from cnnviz.analysis.checks import Problem, check_analysis
from cnnviz.device_class import ANY, CPU, GPU, class_of, gpus, split
from cnnviz.models import Shape
from cnnviz.tracking import ACTIVE, Database, RunSummary, Status
from cnnviz.training.recipe import (
    Recipe,
    analysis_for,
    edition_of,
    network_key,
    side_for,
    spec_for,
    state_tensors,
)

SPEED = "images_per_second"
CPU_MACS, GPU_MACS = 15e9, 5e12
"""MACs per second of training, per CPU core and per GPU: a rough prior until a run was timed here.

Two cores of a 2023 server processor reached 15 to 40 GMAC/s each on our networks; the value for GPUs is about
a tenth of the peak bf16 throughput in recent data sheets.
"""
MIN_STEP_SECONDS = {"cpu": 1e-3, "cuda": 3e-4}
"""Minimum seconds of a step, however small the network, if another network's speed is extrapolated."""
_BASE = 600 * 2**20
_PASSES = 3
_NEWEST = 40
_VALUE = 4


_GPU_FILE = re.compile(r"nvidia\d+|dxg|nvhost-gpu|nvgpu|kfd")


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a run."""

    seconds: float | None
    """Time of training and evaluation; None if the number of images is unknown."""
    memory_bytes: int
    """Memory on the device; on the CPU including the process itself."""
    disk_bytes: int
    """Size of checkpoints, and of the decoded data unless they are cached."""
    basis: str
    """One sentence on what the time is based on."""
    timed: bool = True
    """False if no run on the device was timed yet: the time is then accurate to a factor of thirty."""


@dataclass(frozen=True)
class _Work:
    """Sizes that determine the cost: MACs and activation values per image, parameters, images."""

    macs: int
    values: int
    params: int
    train: int
    judged: int
    pixels: int
    """Number of values of the decoded images."""
    cached: bool


def estimate(database: Database, recipe: Recipe) -> Estimate:
    """Estimate time, memory and disk space of a recipe on its device.

    Time is the number of MACs (three passes per training image, one per evaluated image) at the speed of the
    run on the same device whose network is nearest in MACs, newest runs first; without such a run, at a rough
    prior.

    Raises:
        UnknownModelError: There is no such model.
        ValueError: The network cannot be built.
    """
    device, work = device_name(recipe), _work(recipe)
    if work.train == 0:
        return Estimate(None, *_sizes(recipe, work, device), "How many images there are is not known yet.")
    seconds, basis, timed = _estimated_seconds(database, recipe, work, device)
    return Estimate(seconds, *_sizes(recipe, work, device), basis, timed)


def structural_problems(recipe: Recipe) -> tuple[Problem, ...]:
    """Check the network's structure for the classes of the recipe's data; may need torch.

    Raises:
        UnknownModelError: There is no such model.
        ValueError: The network cannot be built.
    """
    return _problems(network_key(recipe), edition_of(recipe), _data(recipe.dataset)[0])


FIRST_GPU = "cuda:0"


@functools.lru_cache(maxsize=512)
def _problems(identity: str, edition: str, classes: int) -> tuple[Problem, ...]:
    return check_analysis(analysis_for(Recipe.model_validate_json(identity), classes))


def device_name(recipe: Recipe) -> str:
    """Return the device as stored in runs, `cpu` or `cuda:0`; imports torch only if a GPU driver is present.

    For a GPU on a machine without one it is the first GPU of another machine.
    """
    requested = class_of(recipe.device)
    if requested.partition(":")[0] == CPU or (requested == ANY and not may_have_gpu()):
        return CPU
    if requested not in (ANY, GPU):
        return FIRST_GPU if requested.startswith(GPU) else requested
    if requested == GPU and not may_have_gpu():
        return FIRST_GPU
    from cnnviz.training.setup import device_of

    return str(device_of(recipe))


def may_have_gpu(
    devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> bool:
    """Return whether a GPU driver is present, without torch; True means that torch has to be asked.

    Args:
        devices: Folder of device files: `nvidia0` and up (any number in a container), `dxg` under WSL2,
            `nvhost-gpu` or `nvgpu` on a Jetson, `kfd` of AMD (torch calls it cuda).
        environment: `CUDA_VISIBLE_DEVICES` may hide every GPU from this process.
        platform: As `sys.platform`; only Linux drivers create files.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in ("", "-1", "NoDevFiles", "void", "none"):
        return False
    if platform == "darwin":
        return False
    if not platform.startswith("linux"):
        return True
    try:
        return any(_GPU_FILE.fullmatch(entry.name) for entry in devices.iterdir())
    except OSError:
        return True


def _work(recipe: Recipe) -> _Work:
    classes, train, test, shape, cached = _data(recipe.dataset)
    held_out = round(recipe.validation * train)
    train_images = train - held_out
    macs, values, params = _network(network_key(recipe), edition_of(recipe), classes)
    channels = spec_for(recipe).input_shape[0]
    return _Work(
        macs=macs,
        values=values + channels * math.prod(side_for(recipe)),
        params=params,
        train=train_images if recipe.limit is None else min(recipe.limit, train_images),
        judged=(held_out + test) * (10 if recipe.ten_crop else 1),
        pixels=(train + test) * math.prod(shape),
        cached=cached,
    )


def _data(name: str) -> tuple[int, int, int, Shape, bool]:
    """Return numbers of classes, training and test images, image shape, and whether the data are cached."""
    spec = datasets.find(name)
    prepared = datasets.prepared(name) if spec or datasets.is_path(name) else None
    if prepared is not None:
        return len(prepared.classes), len(prepared.train), len(prepared.test), prepared.shape, True
    if spec is not None:
        return len(spec.classes), spec.train, spec.test, spec.shape, False
    return 10, 0, 0, (3, 32, 32), False


@functools.lru_cache(maxsize=512)
def _network(identity: str, edition: str, classes: int) -> tuple[int, int, int]:
    facts = analysis_for(Recipe.model_validate_json(identity), classes)
    return facts.macs, facts.forward_bytes() // _VALUE, facts.total_params


def _estimated_seconds(
    database: Database, recipe: Recipe, work: _Work, device: str
) -> tuple[float, str, bool]:
    passes = recipe.epochs * work.macs * (_PASSES * work.train + work.judged)
    steps = recipe.epochs * math.ceil(work.train / recipe.batch_size)
    least = steps * MIN_STEP_SECONDS.get(device.partition(":")[0], 0.0)
    nearest = min(
        _measured(database, device),
        key=lambda run: (abs(math.log(max(run[1], 1) / max(work.macs, 1))), run[3] != recipe.precision),
        default=None,
    )
    if nearest is None:
        rate = GPU_MACS if device.startswith("cuda") else CPU_MACS * (os.cpu_count() or 1)
        return max(passes / rate, least), f"A rough guess: no run on {device} has been timed yet.", False
    run, macs, speed, _ = nearest
    seconds = passes / (_PASSES * macs * speed)
    if macs == work.macs:
        basis = f"From the {speed:,.0f} images a second of run {run.id} ({run.model}) on {device}."
        return seconds, basis, True
    basis = f"From the speed of run {run.id} ({run.model}) on {device}, by multiply-adds."
    return max(seconds, least), basis, True


def _measured(database: Database, device: str) -> Iterator[tuple[RunSummary, int, float, str]]:
    """Yield timed runs of the device, with MACs of their network, images per second, and precision.

    Not those that failed: most did in their first steps, which are slower.
    """
    newest = [
        run
        for run in tracking.list_runs(database, metrics=[SPEED], limit=4 * _NEWEST)
        if run.status is not Status.FAILED
    ]
    timed = [run for run in newest if run.trained and run.device == device and SPEED in run.metrics][:_NEWEST]
    recipes = tracking.recipes(database, [run.id for run in timed])
    for run in timed:
        speed = run.metrics[SPEED].last
        try:
            recipe = Recipe.model_validate(recipes[run.id])
            macs, _, _ = _network(network_key(recipe), edition_of(recipe), _data(recipe.dataset)[0])
        except (ValidationError, ValueError, KeyError):
            # A run of another version, or of a network or data that no longer exist.
            continue
        if speed and macs:
            yield run, macs, speed, recipe.precision


def _sizes(recipe: Recipe, work: _Work, device: str) -> tuple[int, int]:
    state = state_tensors(recipe)
    weights = work.params * _VALUE
    # A CPU may fall back to fp32.
    is_half_precision = recipe.precision == "bf16" and device.startswith("cuda")
    width = 2 if is_half_precision else _VALUE
    memory = weights * (2 + state) + 2 * work.values * width * recipe.batch_size + work.pixels
    if not device.startswith("cuda"):
        memory += _BASE
    files = 2 if recipe.validation > 0 else 1
    return memory, files * weights * (1 + state) + (0 if work.cached else work.pixels)


# The place of a queued run: what trains or waits before it.

ENOUGH = 0.05
"""Fraction of a run after which its remaining time is extrapolated from its own speed."""


@dataclass(frozen=True)
class QueuePlace:
    """Runs ahead of a queued run on its device."""

    training: tuple[RunSummary, ...]
    """The run that holds the device; empty if it is free."""
    waiting: tuple[RunSummary, ...]
    """Queued runs of the same device that come first, in order."""
    seconds: float | None = None
    """Estimated remaining time of all of these; None if unknown or not requested."""


def place_in_queue(database: Database, run: RunSummary, timed: bool = False) -> QueuePlace:
    """Return the position of a queued run on its device; with `timed` also its estimated waiting time."""
    runs = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[])
    devices = tracking.machine_devices(tracking.machines(database)) or _devices_here()
    own_devices = _contended(run, devices)
    contenders = [o for o in runs if o.id != run.id and o.trained and own_devices & _contended(o, devices)]
    training = tuple(contender for contender in contenders if contender.status is not Status.QUEUED)
    order = {number: position for position, number in enumerate(tracking.queue_order(database))}
    own_position = order.get(run.id, len(order))
    ahead = (
        o for o in contenders if o.status is Status.QUEUED and order.get(o.id, own_position) < own_position
    )
    waiting = sorted(ahead, key=lambda contender: order[contender.id])
    result = QueuePlace(training, tuple(waiting))
    return result if not timed else QueuePlace(training, tuple(waiting), _seconds(database, result))


def _devices_here() -> frozenset[str]:
    """Return this machine's devices as far as they are known without torch."""
    return frozenset((CPU, FIRST_GPU) if may_have_gpu() else (CPU,))


def _contended(run: RunSummary, devices: frozenset[str]) -> frozenset[str]:
    """Return the devices that a run holds or could get: runs that share one wait for each other."""
    if run.status is not Status.QUEUED:
        return frozenset(CPU if name.startswith(CPU) else name for name in split(run.device))
    requested = run.device_class
    if requested == ANY:
        return frozenset(gpus(devices)) or frozenset((CPU,))
    if requested.startswith(CPU):
        return frozenset((CPU,))
    if requested.startswith(GPU):
        return frozenset(gpus(devices)) or frozenset((FIRST_GPU,))
    return frozenset((requested,))


def _seconds(database: Database, position: QueuePlace) -> float | None:
    runs = [*position.training, *position.waiting]
    recipes = tracking.recipes(database, [run.id for run in runs])
    total = 0.0
    for run in runs:
        remaining = _seconds_left(database, run, recipes[run.id])
        if remaining is None:
            return None
        total += remaining
    return total


def _seconds_left(database: Database, run: RunSummary, recipe: object) -> float | None:
    """Estimate the remaining time: by the run's own speed after 5 %, else as for a new run."""
    fraction = run.step / run.total_steps if run.total_steps else 0.0
    if fraction >= ENOUGH and run.seconds > 0:
        return run.seconds * (1 - fraction) / fraction
    try:
        expected = estimate(database, Recipe.model_validate(recipe)).seconds
    except (ValidationError, ValueError):
        return None  # A recipe of another version, or of a network that no longer exists.
    return None if expected is None else expected * (1 - fraction)
