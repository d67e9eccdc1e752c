"""Published results beside data that are like theirs, and beside no others."""

import pytest

from cnnviz import models
from cnnviz.ui.pages.runs.figures import published_data, published_of, published_on, results


@pytest.mark.parametrize(
    ("dataset", "on"),
    [
        ("cifar10", {"CIFAR-10"}),
        ("/data/cifar10-jpeg/", {"CIFAR-10"}),
        ("cifar100", set()),
        ("mnist", {"MNIST"}),
        ("fashion-mnist", set()),
        ("digits", set()),
    ],
)
def test_data_are_known_by_name(dataset: str, on: set[str]) -> None:
    found = {result.on for result in published_on(dataset)}
    assert found == on


def test_costs_are_those_of_the_model_and_of_the_article() -> None:
    (result,) = published_of("alexnet-cifar10", "cifar10")
    assert result.value == models.get("alexnet-cifar10").published_value("accuracy")
    assert (result.cost("parameters"), result.cost("time")) == (58_292_074, 76 * 60)
    assert result.cost("macs")


def test_every_published_accuracy_is_there() -> None:
    counted = sum(p.what == "accuracy" for spec in models.specs().values() for p in spec.published)
    assert len(results()) == counted
    assert published_data()[-1] == "ImageNet"
