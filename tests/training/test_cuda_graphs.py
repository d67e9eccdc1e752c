"""Steps that are replayed, with a recording that any device can make: the same run as without."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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
    trainer = Trainer(RECIPE, ready.model, ready.data_module, ready.side, InMemoryLogger(), macs=ready.macs)
    if capture is not None:
        trainer._fast = GraphedStep(trainer._plain, RECIPE.batch_size, trainer._note, capture=capture)
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


def test_gradients_after_a_replay_are_the_recordings(dataset: Dataset) -> None:
    """An eager step in between makes gradients of its own; they must neither be read later nor stay alive."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pool = [torch.zeros_like(parameter) for parameter in model.parameters()]

    def eager(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()[None], labels

    def capture(step: Step, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
        """Write gradients to the same memory at every replay, as a graph does, without touching `.grad`."""
        for parameter, kept in zip(model.parameters(), pool, strict=True):
            parameter.grad = kept

        def replay() -> tuple[Tensor, Tensor]:
            gradients = torch.autograd.grad(
                torch.nn.functional.cross_entropy(model(images), labels), list(model.parameters())
            )
            for kept, fresh in zip(pool, gradients, strict=True):
                kept.copy_(fresh)
            return torch.zeros(1), labels

        return replay

    step = GraphedStep(eager, 3, lambda note: None, model.parameters(), capture)
    images, labels = torch.eye(3, 2), torch.tensor([0, 1, 0])
    for _ in range(WARM_UP + 1):
        step(images, labels)
    eager(images * 5, labels)  # a step that is looked at
    step(images, labels)
    expected = torch.autograd.grad(
        torch.nn.functional.cross_entropy(model(images), labels), list(model.parameters())
    )
    for parameter, kept, value in zip(model.parameters(), pool, expected, strict=True):
        assert parameter.grad is kept
        assert torch.allclose(kept, value)


def test_a_compiled_model_meets_full_batches_only(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def compile_model(model: torch.nn.Module) -> Callable[[Tensor], Tensor]:
        def compiled(images: Tensor) -> Tensor:
            sizes.append(len(images))
            result: Tensor = model(images)
            return result

        return compiled

    monkeypatch.setattr(torch, "compile", compile_model)
    recipe = RECIPE.changed({"compile": True})
    ready = build_training(recipe, dataset)
    assert len(ready.data_module.train) % recipe.batch_size
    Trainer(recipe, ready.model, ready.data_module, ready.side, InMemoryLogger()).run()
    assert set(sizes) == {recipe.batch_size}


class _NoWaiting(TorchDispatchMode):
    """Fails for what waits for a GPU: values that are read, and shapes that depend on them."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "masked_select")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        assert name not in self.WAITS, f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": "nesterov", "lr": 0.01, "weight_decay": 1e-3},
        {"pad_crop": 2, "flip": "random", "cutout": 5, "label_smoothing": 0.1},
        {"colour_jitter": 0.2, "schedule": "one-cycle", "optimiser": "adamw"},
    ],
)
def test_a_step_that_neither_reports_nor_looks_waits_for_nothing(
    dataset: Dataset, changes: dict[str, object]
) -> None:
    recipe = RECIPE.changed(changes)
    ready = build_training(recipe, dataset)
    trainer = Trainer(recipe, ready.model, ready.data_module, ready.side, InMemoryLogger())
    trainer.run(lambda: trainer.step < 2)
    with _NoWaiting():
        trainer._train_step(trainer.rate(), record_layers=False)
    with pytest.raises(AssertionError, match="waits for the device"), _NoWaiting():
        float(torch.ones(1))


def test_only_small_steps_are_recorded() -> None:
    assert should_capture(416_520, 128)
    assert not should_capture(1_182_000_000, 512)
    assert not should_capture(0, 128)


def test_no_step_on_the_cpu_is_recorded(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnviz.training.cuda_graphs.should_capture", lambda macs, batch: True)
    ready = build_training(RECIPE, dataset)
    trainer = Trainer(RECIPE, ready.model, ready.data_module, ready.side, InMemoryLogger())
    assert trainer._fast is trainer._plain
