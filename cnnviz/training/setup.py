"""Build a run from its recipe: the device and its memory, the model with fresh weights, the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from cnnviz import device_class, models
from cnnviz.models.user_code.registration import OWN_FILE
from cnnviz.training.data.tensors import DataModule, derive_seed
from cnnviz.training.recipe import Recipe, analysis_for, side_for, spec_for
from cnnviz.training.start_weights import load_start
from cnnviz.training.trainable import check_trainable

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.datasets import Dataset

# A GPU's memory that did not suffice: how much was needed, and which batch would fit.

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


@dataclass(frozen=True)
class TrainingSetup:
    """A run before its first step."""

    recipe: Recipe
    model: nn.Module
    data_module: DataModule
    side: tuple[int, int]
    macs: int
    """Multiply-adds of one image."""
    note: str = ""
    """What differs from the recipe as it was given, in a sentence; empty where nothing does."""


def device_of(recipe: Recipe) -> torch.device:
    """The device that the recipe gets on this machine; `auto` is the first GPU, else the CPU.

    A GPU comes with its number, so that two names of one device do not make two queues. Of several that it
    asks for it is the first.

    Raises `ValueError` for a device that this machine does not have.
    """
    wanted, every = device_class.class_of(recipe.device), devices()
    chosen = device_class.choose(wanted, every)
    if chosen is None:
        raise ValueError(f"There is no device '{recipe.device}' here; 'cpu' and 'auto' always work.")
    return torch.device(chosen[0])


def devices() -> list[str]:
    """Every device of this machine, as runs name them."""
    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def torch_device(name: str) -> torch.device:
    """The device of a run's row: `cpu:1`, which is the CPU beside another run, is the CPU."""
    return torch.device("cpu" if name.startswith("cpu") else name)


def check_precision(recipe: Recipe, device: torch.device) -> None:
    """Raise `ValueError` for a GPU that would have to imitate the recipe's numbers."""
    if recipe.precision != "bf16" or device.type != "cuda":
        return
    with torch.cuda.device(device):
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ValueError(f"{torch.cuda.get_device_name(device)} has no bf16; set 'precision' to fp32.")


def has_bf16_arithmetic() -> bool:
    """Check whether the processor multiplies bf16 numbers in hardware (AVX512-BF16, AMX, or Arm's BF16).

    Without it PyTorch imitates them: SmallAlexNet trains 17 times as slowly as in fp32 (AMD EPYC, AVX2).
    """
    query = getattr(torch.cpu, "get_capabilities", None)
    if query is None:  # torch before 2.12
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = query()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def supported_precision(recipe: Recipe, device: torch.device) -> tuple[Recipe, str]:
    """Resolve the recipe's precision on a device: bf16 becomes fp32 on a processor without it.

    Returns:
        The recipe to train by, and a sentence where it differs from the one given, else an empty string.
    """
    if recipe.precision != "bf16" or device.type != "cpu" or has_bf16_arithmetic():
        return recipe, ""
    return (
        recipe.model_copy(update={"precision": "fp32"}),
        "Trained in fp32 in place of bf16: this processor has no bf16 arithmetic, and imitating it is slow.",
    )


def build_training(recipe: Recipe, dataset: Dataset, device: torch.device | None = None) -> TrainingSetup:
    """Build the model for the data's classes and put everything on the recipe's device.

    Args:
        recipe: What to train.
        dataset: The images.
        device: The device that the machine has decided on; what `device_of` says by default.

    Raises `ValueError` for a model, options, size or device that cannot be, `DataError` for the data,
    `TooLittleMemoryError` where they do not fit into the device's memory.
    """
    try:
        return _make_ready(recipe, dataset, device or device_of(recipe))
    except torch.OutOfMemoryError as error:
        images = len(dataset.train) + len(dataset.test)
        raise TooLittleMemoryError(
            f"The model and {images:,} images do not fit into the memory of {device or device_of(recipe)}; "
            "take fewer with 'limit', or the CPU."
        ) from error


def _macs(recipe: Recipe, spec: models.ModelSpec, classes: int) -> int:
    """Multiply-adds of one image; 0 for a user's network that cannot be analysed without its values."""
    try:
        return analysis_for(recipe, classes).macs
    except ValueError:
        if OWN_FILE not in spec.tags:
            raise
        return 0


def _make_ready(recipe: Recipe, dataset: Dataset, device: torch.device) -> TrainingSetup:
    spec = spec_for(recipe)
    check_precision(recipe, device)
    recipe, note = supported_precision(recipe, device)
    train_images = len(dataset.split(recipe.validation, recipe.seed, recipe.limit).train)
    together = device_class.ranks(device_class.class_of(recipe.device))
    check_trainable(recipe, len(dataset.classes), train_images, together)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # Sizes repeat: trying algorithms pays.
    if device.type == "cuda":  # TF32 in matrix products too, as cuDNN has it in convolutions anyway
        torch.set_float32_matmul_precision("high")
    side = side_for(recipe)
    torch.manual_seed(derive_seed(recipe.seed, 0, 3))
    options = None if recipe.layers else recipe.options
    model = models.build(spec, len(dataset.classes), side, options)
    macs = _macs(recipe, spec, len(dataset.classes))
    load_start(recipe, model)
    model = model.to(device)
    if device.type == "cuda" or recipe.precision == "bf16":  # What multiplies matrices wants channels last.
        model = model.to(memory_format=torch.channels_last)
    return TrainingSetup(
        recipe, model, DataModule.of(dataset, recipe, spec.input_shape[0], device), side, macs, note
    )
