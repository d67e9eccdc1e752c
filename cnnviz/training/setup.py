"""Setup of a run from its recipe: device, memory, model with initial weights, and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from cnnviz import device_class, models
from cnnviz.models.user_code.registration import OWN_FILE
from cnnviz.training.data import DataModule, derive_seed
from cnnviz.training.fine_tuning import load_start
from cnnviz.training.queue import check_trainable
from cnnviz.training.recipe import Recipe, analysis_for, side_for, spec_for

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnviz.datasets import Dataset

# Out-of-memory errors: measurement of the required memory, and of the largest batch size that fits.

_SPARE = 0.97
"""Usable fraction of the memory; the rest is lost to fragmentation."""
_GIB = 2**30


class TooLittleMemoryError(ValueError):
    """A run does not fit into the device's memory; the message says what would."""


class Gauge(Protocol):
    """Memory measurement of a device."""

    name: str
    """Display name of the device."""

    def available(self) -> int:
        """Return the number of bytes that this process holds or could allocate."""

    def peak(self, work: Callable[[], None]) -> int:
        """Return the peak bytes in tensors while `work` runs; raise `torch.OutOfMemoryError`."""


class CudaGauge:
    """Memory measurement of one GPU."""

    def __init__(self, device: torch.device) -> None:
        self.name, self._device = torch.cuda.get_device_name(device), device

    def available(self) -> int:
        """Return free memory plus torch's cache; the pool of a CUDA graph is released by then."""
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device)

    def peak(self, work: Callable[[], None]) -> int:
        """Return the allocator's peak of allocated bytes."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device)


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of a step in bytes: fixed part (weights, data, optimizer), and part per image of the batch."""

    fixed: float
    image: float

    def of(self, batch: int) -> float:
        """Return the memory of a step with this batch size."""
        return self.fixed + self.image * batch

    def largest(self, available: float) -> int:
        """Return the largest batch size that fits, a multiple of 8 if at least 8; 0 if none does."""
        most = max(0, int((available * _SPARE - self.fixed) / max(self.image, 1)))
        return most - most % 8 if most >= 8 else most


def measure_memory(peak: Callable[[int], int], batch: int) -> MemoryNeed | None:
    """Measure the memory need from steps of two smaller batch sizes; None if not even two images fit.

    `peak(n)` runs the forward and backward pass of n images and returns the peak memory.
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
        return MemoryNeed(large - image * count, image)


def out_of_memory_message(gauge: Gauge, probe: Callable[[int], None], batch: int, to_come: int = 0) -> str:
    """Return the error message for a step of `batch` images that ran out of memory.

    Args:
        gauge: Of the device.
        probe: Runs the forward and backward pass of a number of images, without side effects.
        batch: The batch size that did not fit.
        to_come: Bytes that the optimizer would still allocate in its first step.
    """
    available = gauge.available()
    need = measure_memory(lambda count: gauge.peak(lambda: probe(count)), batch)
    if need is None:
        return (
            f"{gauge.name} has {available / _GIB:.1f} GiB for this run: too little for a batch of two images."
        )
    need = MemoryNeed(need.fixed + to_come, need.image)
    fits = min(need.largest(available), batch - 1)
    advice = f"a batch of {fits} would fit" if fits else "not even one image would fit"
    return (
        f"A step of {batch} images needs about {need.of(batch) / _GIB:.1f} GiB on {gauge.name}, where "
        f"{available / _GIB:.1f} GiB are to be had; {advice}."
    )


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that a run needs before its first step."""

    recipe: Recipe
    model: nn.Module
    data_module: DataModule
    side: tuple[int, int]
    macs: int
    """Multiply-accumulate operations (MACs) per image."""
    note: str = ""
    """Message on deviations from the given recipe; empty if there are none."""


def device_of(recipe: Recipe) -> torch.device:
    """Return the device of the recipe on this machine; `auto` is the first GPU, else the CPU.

    A GPU is returned with its index, since each device name has its own queue; of several GPUs the first.

    Raises:
        ValueError: This machine has no such device.
    """
    requested, available = device_class.class_of(recipe.device), devices()
    selected = device_class.choose(requested, available)
    if selected is None:
        raise ValueError(f"There is no device '{recipe.device}' here; 'cpu' and 'auto' always work.")
    return torch.device(selected[0])


def devices() -> list[str]:
    """Return all devices of this machine, as named in runs."""
    names = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def torch_device(name: str) -> torch.device:
    """Return the torch device of a run's device: `cpu:1` (a run next to another one) is the CPU."""
    return torch.device("cpu" if name.startswith("cpu") else name)


def check_precision(recipe: Recipe, device: torch.device) -> None:
    """Raise `ValueError` if the GPU does not support the recipe's precision in hardware."""
    if recipe.precision != "bf16" or device.type != "cuda":
        return
    with torch.cuda.device(device):
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ValueError(f"{torch.cuda.get_device_name(device)} has no bf16; set 'precision' to fp32.")


def has_bf16_arithmetic() -> bool:
    """Return whether the CPU has bf16 arithmetic (AVX512-BF16, AMX, or Arm's BF16).

    Without it PyTorch emulates bf16: SmallAlexNet trains 17 times slower than in fp32 (AMD EPYC, AVX2).
    """
    query = getattr(torch.cpu, "get_capabilities", None)
    if query is None:  # torch before 2.12
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = query()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def supported_precision(recipe: Recipe, device: torch.device) -> tuple[Recipe, str]:
    """Resolve the recipe's precision on a device: bf16 becomes fp32 on a CPU without bf16.

    Returns:
        The recipe to train with, and a message if it differs from the given one, else an empty string.
    """
    if recipe.precision != "bf16" or device.type != "cpu" or has_bf16_arithmetic():
        return recipe, ""
    return (
        recipe.model_copy(update={"precision": "fp32"}),
        "Trained in fp32 in place of bf16: this processor has no bf16 arithmetic, and imitating it is slow.",
    )


def build_training(recipe: Recipe, dataset: Dataset, device: torch.device | None = None) -> TrainingSetup:
    """Build the model for the data's classes and move model and data to the device.

    Args:
        recipe: The recipe.
        dataset: The data.
        device: The device; `device_of(recipe)` by default.

    Raises:
        ValueError: The model, its options, the size or the device are invalid.
        DataError: The data cannot be split, or have the wrong number of channels.
        TooLittleMemoryError: The model and the data do not fit into the device's memory.
    """
    try:
        return _build(recipe, dataset, device or device_of(recipe))
    except torch.OutOfMemoryError as error:
        images = len(dataset.train) + len(dataset.test)
        raise TooLittleMemoryError(
            f"The model and {images:,} images do not fit into the memory of {device or device_of(recipe)}; "
            "take fewer with 'limit', or the CPU."
        ) from error


def _macs(recipe: Recipe, spec: models.ModelSpec, classes: int) -> int:
    """Return the MACs per image; 0 for a user's network that cannot be analyzed without its values."""
    try:
        return analysis_for(recipe, classes).macs
    except ValueError:
        if OWN_FILE not in spec.tags:
            raise
        return 0


def use_channels_last(model: nn.Module, images: Tensor) -> None:
    """Lay a model's weights out channels last, unless its forward fails with them.

    oneDNN's and cuDNN's convolutions are faster so, with matrix units and without. But a forward that calls
    `view` on a feature map, as tutorials do, raises for one that is channels last: a pass in training mode
    over `images`, float `(N, C, H, W)`, tells. It changes neither buffers nor random numbers.
    """
    model.to(memory_format=torch.channels_last)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [images.device] if images.device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.func.functional_call(model, buffers, (images,))
    except Exception:  # A network of one's own may raise anything; what else is wrong, its training says.
        model.to(memory_format=torch.contiguous_format)


def _build(recipe: Recipe, dataset: Dataset, device: torch.device) -> TrainingSetup:
    spec = spec_for(recipe)
    check_precision(recipe, device)
    recipe, note = supported_precision(recipe, device)
    train_images = len(dataset.split(recipe.validation, recipe.seed, recipe.limit).train)
    rank_count = device_class.ranks(device_class.class_of(recipe.device))
    check_trainable(recipe, len(dataset.classes), train_images, rank_count)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # Sizes repeat, so autotuning pays off.
    if device.type == "cuda":  # TF32 in matrix products too; cuDNN uses it in convolutions anyway.
        torch.set_float32_matmul_precision("high")
    side = side_for(recipe)
    torch.manual_seed(derive_seed(recipe.seed, 0, 3))
    options = None if recipe.layers else recipe.options
    model = models.build(spec, len(dataset.classes), side, options)
    macs = _macs(recipe, spec, len(dataset.classes))
    if recipe.start_from or recipe.freeze_until:
        load_start(recipe, model)
    model = model.to(device)
    if device.type != "mps":
        use_channels_last(model, torch.zeros(2, spec.input_shape[0], *side, device=device))
    return TrainingSetup(
        recipe, model, DataModule.of(dataset, recipe, spec.input_shape[0], device), side, macs, note
    )
