"""A run over images that stream is the same run."""

import threading
from pathlib import Path

import pytest
import torch

from cnnviz import datasets
from cnnviz.datasets import DataError, Dataset, Part, user_data
from cnnviz.datasets.dataset import Stream
from cnnviz.datasets.spec import Labels, Pixels
from cnnviz.training.data import DataModule, StreamedImages, permutation, split
from cnnviz.training.data.transforms import Statistics, Transform
from cnnviz.training.metrics import evaluate
from cnnviz.training.recipe import Recipe
from tests.datasets.making import encoded, pixels, write
from tests.training.test_trainer import trainer

CPU = torch.device("cpu")
RECIPE = Recipe(validation=0.25, scale="standardised")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, Dataset]:
    """The same pictures decoded, and streaming."""
    files = {
        f"{c}/{n}.png": encoded(pixels(n + 50 * k, (28, 28), 1))
        for k, c in enumerate("ab")
        for n in range(20)
    }
    root = write(tmp_path / "data", files)
    decoded = datasets.load(root)
    monkeypatch.setattr(user_data, "MAX_DECODED", 100)
    streams = datasets.load(root, {"size": 28})
    assert streams.streams
    assert not decoded.streams
    return decoded, streams


def test_what_is_asked_for_is_the_same(both: tuple[Dataset, Dataset]) -> None:
    decoded, streams = (DataModule.of(each, RECIPE, 3, CPU) for each in both)
    assert isinstance(streams.train.images, StreamedImages)
    assert streams.train.images.shape == decoded.train.images.shape
    rows = torch.tensor([7, 0, 3, 3])
    for part in ("train", "validation", "test"):
        ours, theirs = getattr(streams, part), getattr(decoded, part)
        assert (ours.labels == theirs.labels).all()
        assert torch.equal(ours.images[rows], theirs.images[rows])
        assert torch.equal(torch.cat(list(split(ours.images, 3))), theirs.images)


def test_statistics_and_judgement_are_the_same(both: tuple[Dataset, Dataset]) -> None:
    decoded, streams = (DataModule.of(each, RECIPE, 1, CPU) for each in both)
    ours, theirs = (Statistics.of(each.train.images) for each in (streams, decoded))
    assert torch.equal(ours.mean_image, theirs.mean_image)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))
    transform = Transform(RECIPE, theirs, (28, 28))
    judged = [evaluate(model, each.test, transform, batch=3).loss for each in (streams, decoded)]
    assert judged[0] == judged[1]


def test_a_run_over_streaming_images_ends_with_the_same_bits(both: tuple[Dataset, Dataset]) -> None:
    recipe = RECIPE.changed({"epochs": 2, "batch_size": 8, "flip": "random"})
    ended = []
    for each in both:
        run, _ = trainer(recipe, each)
        assert run.run(lambda: True)
        ended.append(torch.cat([value.flatten() for value in run.model.state_dict().values()]))
    assert torch.equal(*ended)


def test_every_batch_after_the_first_is_decoded_while_the_one_before_is_learned(
    both: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[str, tuple[int, ...]]] = []
    read = Part.pixels

    def noted(part: Part, rows: Labels) -> Pixels:
        decoded.append((threading.current_thread().name, tuple(rows.tolist())))
        return read(part, rows)

    run, _ = trainer(RECIPE.changed({"epochs": 2, "batch_size": 8}), both[1])
    train = run.data_module.train.images
    assert isinstance(train, StreamedImages)
    monkeypatch.setattr(Part, "pixels", noted)
    monkeypatch.setattr(run, "_end_epoch", lambda: None)
    monkeypatch.setattr(run, "_log_layer_stats", lambda: None)
    monkeypatch.setattr(run, "_record_data_report", lambda: None)
    run.data_module.test.images[:1]  # opens the file
    decoded.clear()
    assert run.run(lambda: True)
    batches = [
        tuple(permutation(len(train), RECIPE.seed, epoch)[start : start + 8].tolist())
        for epoch in range(2)
        for start in range(0, len(train), 8)
    ]
    of_train = [entry for entry in decoded if entry[1] in batches]
    assert [rows for _, rows in of_train] == batches, "each once, in order, those of the next epoch too"
    assert [name.startswith("decode-ahead") for name, _ in of_train] == [False] + [True] * (len(batches) - 1)
    assert not [t for t in threading.enumerate() if t.name.startswith("decode-ahead")]


def test_other_images_in_between_leave_the_batch_ahead(both: tuple[Dataset, Dataset]) -> None:
    decoded, streams = (DataModule.of(each, RECIPE, 1, CPU) for each in both)
    images = streams.train.images
    assert isinstance(images, StreamedImages)
    rows = torch.tensor([3, 1])
    images.prefetch(rows)
    assert torch.equal(images[:4], decoded.train.images[:4])
    assert torch.equal(images[rows], decoded.train.images[rows])
    streams.close()
    images.prefetch(rows)  # another thread begins
    streams.close()
    assert torch.equal(images[rows], decoded.train.images[rows])


def test_a_damaged_image_is_said_when_its_batch_comes(both: tuple[Dataset, Dataset]) -> None:
    streams = DataModule.of(both[1], RECIPE, 1, CPU)
    images = streams.train.images
    assert isinstance(images, StreamedImages)
    source = both[1].train.source
    assert isinstance(source, Stream)
    source.path.write_bytes(bytes(source.path.stat().st_size))
    images.prefetch(slice(0, 2))
    with pytest.raises(DataError):
        images[:2]
    streams.close()
