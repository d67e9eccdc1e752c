"""What a run tells: which records, when, and whether they are true."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz.datasets import Dataset
from cnnviz.training import Recipe
from cnnviz.training.data import Labelled
from cnnviz.training.metrics import TrackedImages
from cnnviz.training.run_logger import MEASURED, InMemoryLogger, PeakFlops, from_data_sheet, peak_flops
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import LAST, LOG_EARLY, STATS_EARLY, Trainer
from tests.training.stripes import striped

RECIPE = Recipe(model="lenet5", epochs=2, batch_size=12, lr=0.05, seed=3)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


@pytest.fixture(scope="module")
def told(dataset: Dataset) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(RECIPE, dataset), InMemoryLogger()
    run = Trainer(RECIPE, ready.model, ready.data_module, ready.side, log, macs=ready.macs)
    run.run()
    return run, log


def bodies(log: InMemoryLogger, kind: str) -> dict[int, Any]:
    return {step: body for step, result, body in log.records if result == kind}


def test_the_data_are_described_once(told: tuple[Trainer, InMemoryLogger]) -> None:
    run, log = told
    (record,) = [body for _, kind, body in log.records if kind == "data"]
    assert (record["train"], record["validation"], record["test"]) == (144, 16, 60)
    assert record["classes"] == ["top", "middle", "bottom"]
    assert record["shape"] == [1, 28, 28]
    assert record["counts"] == np.bincount(run.data_module.train.labels.numpy()).tolist()


def test_fixed_images_are_the_test_images_they_name(told: tuple[Trainer, InMemoryLogger]) -> None:
    run, log = told
    images = bodies(log, "fixed_images")[0]
    assert len({image["index"] for image in images}) == 10
    assert {image["label"] for image in images[:3]} == {0, 1, 2}
    for image in images:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["png"]))))
        (truth,) = run.data_module.test.images[torch.tensor([image["index"]])]
        assert np.array_equal(pixels, truth[0].numpy())
        assert image["label"] == int(run.data_module.test.labels[image["index"]])


class _Ordered(InMemoryLogger):
    """Notes, for each kind of record, the last step whose loss had been reported before it."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: dict[str, int] = {}

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        steps = [reported for reported, _ in self.series("train/loss")]
        self.reported.setdefault(kind, max(steps, default=0))
        super().record(step, epoch, kind, value)


def test_the_first_point_waits_neither_for_the_dataset_report_nor_for_the_baseline(dataset: Dataset) -> None:
    ready, log = build_training(RECIPE, dataset), _Ordered()
    run = Trainer(RECIPE, ready.model, ready.data_module, ready.side, log)
    run.run()
    assert log.reported["data"] == log.reported["fixed_images"] == 0
    assert log.reported["census"] == 1
    assert log.reported["baseline"] == run.steps_per_epoch
    assert len(bodies(log, "census")) == len(bodies(log, "baseline")) == 1


def test_a_race_can_do_without_the_report_on_its_data(dataset: Dataset) -> None:
    ready, log = build_training(RECIPE, dataset), InMemoryLogger()
    Trainer(RECIPE, ready.model, ready.data_module, ready.side, log, data_report=False).run()
    assert not bodies(log, "census")
    assert log.last("test/accuracy") > 0


def test_a_run_that_is_stopped_after_its_first_step_has_its_dataset_report_and_does_not_take_it_again(
    dataset: Dataset, tmp_path: Path
) -> None:
    def run() -> tuple[Trainer, InMemoryLogger]:
        ready, log = build_training(RECIPE, dataset), InMemoryLogger()
        return Trainer(RECIPE, ready.model, ready.data_module, ready.side, log, tmp_path), log

    first, log = run()
    first.run(lambda: first.step < 1)
    assert len(bodies(log, "census")) == 1
    second, log = run()
    second.restore(tmp_path / LAST)
    second.run(lambda: second.step < 3)
    assert not bodies(log, "census")


def test_looks_are_frequent_at_first_and_at_each_epochs_end(told: tuple[Trainer, InMemoryLogger]) -> None:
    run, log = told
    steps = {*(step for step in STATS_EARLY if step <= run.total_steps), 12, 24}
    assert set(bodies(log, "layers")) == set(bodies(log, "fixed_predictions")) == steps
    reported = {step for step, _ in log.series("train/loss")}
    assert reported == {*LOG_EARLY, 12, 20, 24}


def test_the_last_predictions_are_the_models(told: tuple[Trainer, InMemoryLogger]) -> None:
    run, log = told
    newest = bodies(log, "fixed_predictions")[run.total_steps]
    run.model.eval()
    with torch.no_grad():
        numbers = torch.tensor([image["index"] for image in newest])
        inputs = run.transform.test(run.data_module.test.images[numbers])
        likely = run.model(inputs).softmax(1)
    run.model.train()
    for image, row in zip(newest, likely, strict=True):
        classes, values = zip(*image["top"], strict=True)
        assert list(classes) == row.argsort(descending=True).tolist()
        assert values == pytest.approx([float(row[label]) for label in classes], abs=1e-6)
        assert sum(values) == pytest.approx(1)


def test_answers_are_counted_in_training_and_in_the_test(told: tuple[Trainer, InMemoryLogger]) -> None:
    _, log = told
    confusion = bodies(log, "test/confusion")
    for step, counts in bodies(log, "test/predicted").items():
        assert counts == np.sum(confusion[step], axis=0).tolist()
    trained = bodies(log, "train/predicted")
    assert set(trained) == {12, 24}
    assert all(np.sum(counts) == 144 for counts in trained.values())


def test_speed_is_compared_with_a_peak(told: tuple[Trainer, InMemoryLogger]) -> None:
    run, log = told
    assert {name for _, _, name, _ in log.rows} >= set(MEASURED)
    macs = 416_520 - 84 * 7  # LeNet-5's, less what seven of its ten classes take
    for (_, mfu), (_, speed) in zip(log.series("mfu"), log.series("images_per_second"), strict=True):
        assert mfu == pytest.approx(6 * macs * speed / run.pace.peak.flops)
    assert all(value > 10**6 for _, value in log.series("memory_bytes"))


def test_peaks_of_gpus_are_their_data_sheets() -> None:
    assert from_data_sheet("NVIDIA H100 80GB HBM3", "bf16") == PeakFlops(989e12, "bf16, data sheet")
    assert from_data_sheet("NVIDIA H100 PCIe", "fp32") == PeakFlops(378e12, "TF32, data sheet")
    assert from_data_sheet("NVIDIA A100-SXM4-80GB", "bf16") == PeakFlops(312e12, "bf16, data sheet")
    assert from_data_sheet("NVIDIA L40S", "bf16") == PeakFlops(362e12, "bf16, data sheet")
    assert from_data_sheet("NVIDIA L40", "bf16") is None
    assert peak_flops(torch.device("cpu"), "fp32", 1) is peak_flops(torch.device("cpu"), "fp32", 1)


def test_fewer_images_than_ten_are_all_taken() -> None:
    few = Labelled(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([2, 0, 2, 2]))
    assert TrackedImages.of(few).numbers == (1, 0, 2, 3)
    none = Labelled(torch.zeros(0, 1, 2, 2, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))
    assert TrackedImages.of(none).pictures() == []
