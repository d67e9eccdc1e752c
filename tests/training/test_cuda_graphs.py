"""Steps that are replayed, with a recording that any device can make: the same run as without."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cnnviz.datasets import Dataset
from cnnviz.models.layers import Conv, Dropout, Flatten, LayerList, Linear
from cnnviz.training import Recipe
from cnnviz.training.cuda_graphs import WARM_UP, GraphedStep, Step, should_capture
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import Trainer
from tests.training.stripes import striped

NETWORK = LayerList(input=(1, 28, 28), layers=(Conv(out=2), Flatten(), Dropout(p=0.2), Linear()))
RECIPE = Recipe(layers=NETWORK, epochs=2, batch_size=13, optimiser="adam", lr=1e-3, seed=1)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


class Recorder:
    """Stands in for a CUDA graph: it keeps tensors to write to and gives out the same two each time."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, step: Step, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
        self.recorded += 1
        losses, answers = torch.zeros(1), torch.zeros_like(labels)

        def replay() -> tuple[Tensor, Tensor]:
            self.replayed += 1
            fresh = step(images, labels)
            losses.copy_(fresh[0])
            answers.copy_(fresh[1])
            return losses, answers

        return replay


def run(dataset: Dataset, capture: Callable[..., Callable[[], tuple[Tensor, Tensor]]] | None) -> Trainer:
    ready = build_training(RECIPE, dataset)
    trainer = Trainer(RECIPE, ready.model, ready.material, ready.side, InMemoryLogger(), macs=ready.macs)
    if capture is not None:
        trainer._fast = GraphedStep(trainer._plain, RECIPE.batch_size, trainer._note, capture)
    trainer.run()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    theirs = other.model.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.model.state_dict().items())


def notes(trainer: Trainer) -> list[str]:
    assert isinstance(trainer.log, InMemoryLogger)
    return [body["note"] for _, kind, body in trainer.log.records if kind == "engine"]


def test_a_replayed_run_is_the_same_run(dataset: Dataset) -> None:
    plain, recorder = run(dataset, None), Recorder()
    replayed = run(dataset, recorder)
    assert same(plain, replayed)
    assert isinstance(plain.log, InMemoryLogger)
    assert isinstance(replayed.log, InMemoryLogger)
    assert plain.log.series("train/loss") == replayed.log.series("train/loss")
    assert plain.log.series("train/accuracy") == replayed.log.series("train/accuracy")
    assert notes(replayed) == ["Steps are replayed from a CUDA graph."]
    # Two epochs of eleven batches; steps 1, 2, 5, 10, 11, 20 and 22 are looked at.
    assert (recorder.recorded, recorder.replayed) == (1, 22 - 7 - WARM_UP)


def test_what_cannot_be_recorded_goes_on_as_before(dataset: Dataset) -> None:
    def impossible(step: Step, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    trainer = run(dataset, impossible)
    assert same(trainer, run(dataset, None))
    (note,) = notes(trainer)
    assert "one kernel at a time" in note
    assert "operation not permitted when stream is capturing)" in note


def test_only_small_steps_on_a_gpu_are_recorded() -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert should_capture(gpu, 416_520, 128)
    assert not should_capture(cpu, 416_520, 128)
    assert not should_capture(gpu, 1_182_000_000, 512)
    assert not should_capture(gpu, 0, 128)
