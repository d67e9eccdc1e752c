"""A run over images that stream is the same run."""

from pathlib import Path

import pytest
import torch

from cnnviz import datasets
from cnnviz.datasets import Dataset, user_data
from cnnviz.training.data import DataModule, StreamedImages, split
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
