"""The loop: it learns, it can be stopped anywhere, and what it says is true."""

import contextlib
import functools
import threading
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnnviz.datasets import Dataset, Part
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.data import Labelled, derive_seed, permutation, steps_per_epoch
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.layer_stats import LayerStatsHook
from cnnviz.training.metrics import evaluate
from cnnviz.training.optimizer import build_optimizer
from cnnviz.training.recipe import ADAPTIVE, Optimiser, Schedule
from cnnviz.training.run_logger import MEASURED, InMemoryLogger
from cnnviz.training.setup import build_training, check_precision, device_of, supported_precision
from cnnviz.training.trainer import BEST, LAST, NonFiniteLossError, Trainer
from tests.training.stripes import striped

SMALL = Recipe(
    model="lenet5", epochs=3, batch_size=32, lr=0.05, pad_crop=2, flip="random", schedule="one-cycle", seed=7
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


def trainer(recipe: Recipe, dataset: Dataset, folder: Path | None = None) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(recipe, dataset), InMemoryLogger()
    return Trainer(recipe, ready.model, ready.data_module, ready.side, log, folder, ready.macs), log


def told(log: InMemoryLogger) -> list[tuple[int, float, str, float]]:
    return [row for row in log.rows if row[2] not in MEASURED]


def test_it_learns(dataset: Dataset) -> None:
    run, log = trainer(SMALL, dataset)
    assert run.run()
    assert log.last("test/accuracy") > 0.9
    assert log.last("train/epoch_loss") < log.series("train/epoch_loss")[0][1]
    assert {name for _, _, name, _ in log.rows} >= {"train/loss", "lr", "val/top5", "test/logit_spread"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": "adam", "lr": 1e-3},
        {"schedule": "plateau", "patience": 1},
        {"label_smoothing": 0.1, "cutout": 5},
        {"precision": "bf16"},
        {"mixup": 0.4, "clip_norm": 0.5, "class_weights": "balanced", "optimiser": "rmsprop", "lr": 1e-3},
        {"early_stopping": 1, "restore_best": True, "lr": 0.2},
    ],
)
@pytest.mark.parametrize("stops", [(1,), (5, 6), (3, 8, 11)])
def test_stopped_and_gone_on_it_is_the_same_run(
    dataset: Dataset, tmp_path: Path, changes: dict[str, object], stops: tuple[int, ...]
) -> None:
    """Weights to the last bit, every figure but the timings, and every record."""
    recipe = SMALL.changed(changes)
    whole, log = trainer(recipe, dataset)
    whole.run()
    rows: list[tuple[int, float, str, float]] = []
    records: list[tuple[int, str, object]] = []
    weights: dict[str, torch.Tensor] = {}
    for stop in (*stops, whole.total_steps):
        part, partial = trainer(recipe, dataset, tmp_path)
        if (tmp_path / LAST).exists():
            part.restore(tmp_path / LAST)
        part.run(functools.partial(_before, part, stop))
        rows, records = rows + told(partial), records + partial.records
        weights = part.model.state_dict()
    assert rows == told(log)
    assert records == log.records
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize("patience", [1, 2])
def test_a_plateau_that_has_waited_or_dropped_goes_on_as_it_was(
    dataset: Dataset, tmp_path: Path, patience: int
) -> None:
    """Best loss, epochs waited and drops: without any of them the rate, and with it the bits, are others."""
    recipe = SMALL.changed(
        {"schedule": "plateau", "patience": patience, "optimiser": "adam", "step_factor": 0.5, "epochs": 6}
    )
    whole, log = trainer(recipe, dataset)
    whole.run()
    rates = [value for _, value in log.series("lr")]
    assert len(set(rates)) > 1, "nothing would show here unless the rate had dropped before the end"
    rows: list[tuple[int, float, str, float]] = []
    weights: dict[str, torch.Tensor] = {}
    each = whole.total_steps // recipe.epochs
    part = whole
    for stop in (*(each * epoch + 2 for epoch in range(1, recipe.epochs)), whole.total_steps):
        part, partial = trainer(recipe, dataset, tmp_path)
        if (tmp_path / LAST).exists():
            part.restore(tmp_path / LAST)
        part.run(functools.partial(_before, part, stop))
        rows, weights = rows + told(partial), part.model.state_dict()
    assert part.plateau == whole.plateau
    assert rows == told(log)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.model.state_dict().items())


@pytest.mark.parametrize("name", get_args(Optimiser))
@pytest.mark.parametrize("kind", get_args(Schedule))
def test_every_optimizer_and_schedule_goes_on_with_the_same_bits(
    dataset: Dataset, tmp_path: Path, name: str, kind: str
) -> None:
    changes = {"optimiser": name, "schedule": kind, "epochs": 2, "warmup_epochs": 0.4, "weight_decay": 1e-3}
    recipe = SMALL.changed(
        changes | {"lr": 1e-3 if name in ADAPTIVE else 0.05, "step_epochs": 1, "patience": 1}
    )
    whole, log = trainer(recipe, dataset)
    whole.run()
    part, partial = trainer(recipe, dataset, tmp_path)
    part.run(lambda: part.step < 3)
    gone_on, rest = trainer(recipe, dataset, tmp_path)
    gone_on.restore(tmp_path / LAST)
    gone_on.run()
    assert told(partial) + told(rest) == told(log)
    weights = gone_on.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.model.state_dict().items())


def test_of_ten_classes_the_fifth_likeliest_counts_among_five_and_the_sixth_does_not() -> None:
    class Ranked(nn.Module):
        """Class 0 the likeliest, class 9 the least, whatever it is shown."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.arange(10.0, 0.0, -1.0).expand(len(x), 10)

    labels = torch.arange(10)
    images = torch.zeros(10, 1, 4, 4, dtype=torch.uint8)
    plain = Transform(Recipe(scale="unit"), Statistics.of(images), (4, 4))
    for rank in range(10):
        score = evaluate(Ranked(), Labelled(images[:1], labels[rank : rank + 1]), plain)
        assert score.top5 == (rank < 5)
        assert score.accuracy == (rank == 0)
    assert evaluate(Ranked(), Labelled(images, labels), plain).top5 == 0.5


def _before(run: Trainer, stop: int) -> bool:
    return run.step < stop


def test_weights_that_are_laid_out_otherwise_go_on_alike(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels last: the optimizer's memory of a step must lie in memory as the weights do."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    recipe = SMALL.changed({"precision": "bf16", "epochs": 1})
    whole, _ = trainer(recipe, dataset)
    whole.run()
    part, _ = trainer(recipe, dataset, tmp_path)
    part.run(lambda: part.step < 1)
    part, _ = trainer(recipe, dataset, tmp_path)
    part.restore(tmp_path / LAST)
    trained = [weight for group in part.optimizer.param_groups for weight in group["params"]]
    assert not all(weight.is_contiguous() for weight in trained)
    for weight in trained:
        assert part.optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()
    part.run()
    weights = part.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in whole.model.state_dict().items())


def test_training_goes_on_while_a_checkpoint_is_written(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file holds the weights of its own step, whatever was learned meanwhile."""
    run, _ = trainer(SMALL.changed({"epochs": 2, "validation": 0}), dataset, tmp_path)
    weights: dict[str, torch.Tensor] = {}
    further, taken = threading.Event(), list[checkpoint.Snapshot]()
    write_snapshot = checkpoint.write_snapshot

    def slow(path: Path, snapshot: checkpoint.Snapshot) -> None:
        taken.append(snapshot)
        assert further.wait(60), "training waits for the disk"
        write_snapshot(path, snapshot)

    def keep_on() -> bool:
        if run.step == run.steps_per_epoch:
            weights.update({name: value.clone() for name, value in run.model.state_dict().items()})
        if run.step == run.steps_per_epoch + 2:
            assert not (tmp_path / LAST).exists()
            further.set()
        return True

    monkeypatch.setattr(checkpoint, "write_snapshot", slow)
    assert run.run(keep_on)
    first = taken[0].tensors
    assert all(torch.equal(first[f"model.{name}"], value) for name, value in weights.items())
    assert checkpoint.position_of(tmp_path / LAST).step == run.total_steps, "an ended run is on the disk"


def test_a_failed_write_leaves_the_checkpoint_before_it(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = trainer(SMALL, dataset, tmp_path)
    run.run(lambda: run.step < 2)
    before = (tmp_path / LAST).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cnnviz.training.checkpoint.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        run.run(lambda: run.step < 4)
    assert (tmp_path / LAST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_best_is_kept_beside_last(dataset: Dataset, tmp_path: Path) -> None:
    run, log = trainer(SMALL, dataset, tmp_path)
    run.run()
    best, last = checkpoint.position_of(tmp_path / BEST), checkpoint.position_of(tmp_path / LAST)
    assert best.score == max(value for _, value in log.series("val/accuracy"))
    assert last.step == run.total_steps
    assert Recipe.read(last.recipe) == SMALL


def test_a_checkpoint_says_what_goes_in_and_what_comes_out(dataset: Dataset, tmp_path: Path) -> None:
    run, _ = trainer(SMALL, dataset, tmp_path)
    run.run()
    stored = checkpoint.read(tmp_path / LAST)
    assert stored.signature is not None
    assert (stored.signature.classes, stored.signature.side) == (dataset.classes, (28, 28))
    ours, theirs = vars(run.transform.statistics), vars(stored.signature.statistics)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    weights = run.model.state_dict()
    assert weights.keys() == stored.weights.keys()
    assert all(torch.equal(weights[name], stored.weights[name]) for name in weights)


def test_other_images_and_other_files_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    run, _ = trainer(SMALL, dataset, tmp_path)
    run.run(lambda: run.step < 1)
    other = Dataset(**(vars(dataset) | {"fingerprint": "0" * 64}))
    with pytest.raises(ValueError, match="other images"):
        trainer(SMALL, other)[0].restore(tmp_path / LAST)
    with pytest.raises(ValueError, match="does not fit this model"):
        trainer(SMALL.changed({"model": "lenet5-1998", "limit": 8}), _ten(dataset))[0].restore(
            tmp_path / LAST
        )
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(ValueError, match="junk is no checkpoint"):
        checkpoint.position_of(tmp_path / "junk")


def _ten(dataset: Dataset) -> Dataset:
    part = Part(dataset.train.images[:100], np.arange(100) % 10)
    return Dataset("ten", "Ten", tuple("0123456789"), part, part, "f" * 64, (), Path())


def test_a_loss_that_is_no_number_ends_the_run_with_its_step(dataset: Dataset) -> None:
    run, _ = trainer(
        SMALL.changed({"lr": 1000, "optimiser": "sgd", "momentum": 0.9, "epochs": 9, "schedule": "constant"}),
        dataset,
    )
    with pytest.raises(NonFiniteLossError) as caught:
        run.run()
    assert 1 < caught.value.step <= 20
    assert f"step {caught.value.step}" in str(caught.value)


def test_what_is_no_number_is_not_saved(dataset: Dataset, tmp_path: Path) -> None:
    """Neither a loss that nobody has read yet nor a weight that the last step spoilt."""
    run, _ = trainer(SMALL, dataset, tmp_path)
    run.run(lambda: run.step < 2)
    good = (tmp_path / LAST).read_bytes()
    weight = next(run.model.parameters())
    with torch.no_grad():
        weight[0] = torch.inf
    with pytest.raises(NonFiniteLossError, match="A weight was no longer a finite number at step 2"):
        run.save()
    with pytest.raises(NonFiniteLossError, match="The loss was no longer a finite number at step 3"):
        run.run(lambda: run.step < 3)
    assert (tmp_path / LAST).read_bytes() == good


def test_evaluation_against_one_image_at_a_time(dataset: Dataset) -> None:
    ready = build_training(SMALL, dataset)
    transform = Transform(SMALL, Statistics.of(ready.data_module.train.images), ready.side)
    score = evaluate(ready.model, ready.data_module.test, transform, batch=7)
    ready.model.eval()
    with torch.no_grad():
        logits = torch.cat(
            [ready.model(transform.test(image[None])) for image in ready.data_module.test.images[:]]
        )
    labels = ready.data_module.test.labels
    assert score.loss == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-5)
    assert score.accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert score.top5 == 1
    assert score.predicted == [int(n) for n in logits.argmax(1).bincount(minlength=3)]
    truth = [int(((logits.argmax(1) == labels) & (labels == c)).sum()) / 20 for c in range(3)]
    assert score.by_class == pytest.approx(truth)
    assert not score.in_training_mode


def test_layers_that_stay_in_training_mode_while_they_are_judged_are_told(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, log = trainer(SMALL.changed({"epochs": 1}), dataset)
    names = [name for name, part in run.model.named_modules() if not any(part.children())]
    monkeypatch.setattr(run.model, "eval", lambda: run.model)
    run.run()
    assert [value for _, kind, value in log.records if kind == "in_training_mode"] == [
        names,
        names,
    ]  # validation, test


def test_an_observer_sees_a_layers_own_output_and_leaves_no_hook() -> None:
    conv, last = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 2)
    model = nn.Sequential(conv, nn.ReLU(inplace=True), nn.Flatten(), last)
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.abs_()
        conv.bias.copy_(torch.tensor([-100.0, 100.0, 0.0, 0.0]))
    recipe = Recipe(optimiser="sgd", lr=0.1, momentum=0)
    steps, observer = build_optimizer(recipe, model.parameters()), LayerStatsHook(model)
    before = last.weight.detach().clone(), last.bias.detach().clone()
    with observer.recording():
        loss = functional.cross_entropy(model(torch.rand(8, 1, 8, 8)), torch.arange(8) % 2)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
    looks = {look.name: look for look in observer.compute()}
    assert looks["0"].zeros == 0
    assert looks["1"].dead == 0.25
    assert looks["1"].gradient is None
    assert last.weight.grad is not None
    assert last.bias.grad is not None
    gradient = torch.cat([last.weight.grad.flatten(), last.bias.grad]).norm()
    weights = torch.cat([part.flatten() for part in before]).norm()
    assert looks["3"].gradient == pytest.approx(float(gradient), rel=1e-5)
    assert looks["3"].update == pytest.approx(float(0.1 * gradient / weights), rel=1e-3)
    assert not any(part._forward_hooks for part in model.modules())


def test_signal_is_what_differs_from_image_to_image() -> None:
    """Biases spread the outputs of every image alike, which is no signal."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 5)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(5) * 100)
    model, images = nn.Sequential(layer), torch.rand(7, 6)
    observer = LayerStatsHook(model)
    with observer.recording():
        outputs = model(images).detach().double().numpy()
    (look,) = observer.compute()
    within = np.mean([np.var(outputs[:, unit]) for unit in range(5)]) ** 0.5
    assert look.signal == pytest.approx(within, rel=1e-4)
    assert look.spread == pytest.approx(np.std(outputs), rel=1e-4)
    assert look.spread is not None
    assert look.spread > 100 * within


def test_orders_and_seeds() -> None:
    first, again, second = permutation(50, 3, 0), permutation(50, 3, 0), permutation(50, 3, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, torch.arange(50))
    assert len({derive_seed(s, n, p) for s in range(20) for n in range(20) for p in range(3)}) == 1200
    assert [steps_per_epoch(n, 10) for n in (1, 5, 10, 11, 12, 20)] == [1, 1, 1, 1, 2, 2]


def test_a_device_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="no device 'cuda:99'"):
        device_of(Recipe(device="cuda:99"))
    assert device_of(Recipe(device="cpu")).type == "cpu"
    assert len(Labelled(torch.zeros(3, 1, 2, 2), torch.zeros(3))) == 3


@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc2"])
def test_broken_weights_are_named_and_not_what_they_broke(dataset: Dataset, layer: str) -> None:
    """The gradients of a loss that is no number are none either, the last layer's first of all."""
    run, _ = trainer(SMALL.changed({"epochs": 1}), dataset)
    run.run(lambda: run.step < 2)
    with torch.no_grad():
        weight = next(getattr(run.model, layer).parameters())
        weight[(0,) * weight.dim()] = torch.nan
    with pytest.raises(NonFiniteLossError, match=f"The first to break: the weights of '{layer}'"):
        run.run()


def test_a_processor_without_bf16_trains_in_fp32_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    half, cpu = Recipe(precision="bf16"), torch.device("cpu")
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    resolved, note = supported_precision(half, cpu)
    assert resolved == Recipe()
    assert "fp32 in place of bf16" in note
    assert supported_precision(half, torch.device("cuda", 0)) == (half, "")
    assert supported_precision(Recipe(), cpu) == (Recipe(), "")
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    assert supported_precision(half, cpu) == (half, "")


def test_a_gpu_without_bf16_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, half = torch.device("cuda", 0), Recipe(precision="bf16")
    monkeypatch.setattr("torch.cuda.device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla T4")
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(ValueError, match="Tesla T4 has no bf16; set 'precision' to fp32"):
        check_precision(half, gpu)
    check_precision(Recipe(), gpu)
    check_precision(half, torch.device("cpu"))
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    check_precision(half, gpu)
