"""A GPU that is too small, played by arithmetic: what is said is what would fit."""

from collections.abc import Callable

import pytest
import torch

from cnnviz.training import Recipe
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import (
    MemoryNeed,
    TooLittleMemoryError,
    build_training,
    measure_memory,
    out_of_memory_message,
)
from cnnviz.training.trainer import Trainer
from tests.training.stripes import striped

GIB = 2**30


class SmallGpu:
    """Knows how many images a step took only by being told."""

    name = "a small GPU"

    def __init__(self, total: int, fixed: int, image: int) -> None:
        self.total, self.fixed, self.image, self.count = total, fixed, image, 0

    def available(self) -> int:
        return self.total

    def peak(self, work: Callable[[], None]) -> int:
        work()
        need = self.fixed + self.image * self.count
        if need > self.total:
            raise torch.OutOfMemoryError
        return need

    def probe(self, count: int) -> None:
        self.count = count


def test_need_is_found_from_what_fits() -> None:
    gpu = SmallGpu(8 * GIB, GIB, GIB // 16)

    def peak(count: int) -> int:
        return gpu.peak(lambda: gpu.probe(count))

    assert measure_memory(peak, 1000) == MemoryNeed(GIB, GIB // 16)
    assert measure_memory(peak, 3) == MemoryNeed(GIB, GIB // 16)


def test_the_sentence_says_what_was_needed_and_what_would_fit() -> None:
    gpu = SmallGpu(8 * GIB, GIB, GIB // 16)
    text = out_of_memory_message(gpu, gpu.probe, 256, to_come=GIB)
    assert text == (
        "A step of 256 images needs about 18.0 GiB on a small GPU, where 8.0 GiB are to be had; "
        "a batch of 88 would fit."
    )
    fits = 88
    assert gpu.fixed + GIB + fits * gpu.image <= gpu.total


@pytest.mark.parametrize(
    ("total", "fixed", "said"),
    [(2 * GIB, GIB, "too little for a batch of two"), (int(2.5 * GIB), GIB // 2, "a batch of 1 would fit")],
)
def test_where_hardly_anything_fits(total: int, fixed: int, said: str) -> None:
    gpu = SmallGpu(total, fixed, GIB)
    assert said in out_of_memory_message(gpu, gpu.probe, 64)


def test_a_step_without_memory_ends_the_run_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(batch_size=64, epochs=1, momentum=0.9)
    ready = build_training(recipe, striped())
    run = Trainer(recipe, ready.model, ready.data_module, ready.side, InMemoryLogger())
    gpu, probed = SmallGpu(GIB, 0, GIB // 40), []
    monkeypatch.setattr("cnnviz.training.trainer.CudaGauge", lambda device: gpu)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    def loss(
        images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        gpu.count = len(images)
        probed.append(len(labels))
        return images, next(run.model.parameters()).sum(), []

    monkeypatch.setattr(run, "_plain", type("Step", (), {"__call__": full, "loss": staticmethod(loss)})())
    with pytest.raises(TooLittleMemoryError, match=r"A step of 64 images needs about 1\.6 GiB.*batch of 32"):
        run.run()
    assert probed == [16, 8]
    assert all(weight.grad is None for weight in run.model.parameters())
