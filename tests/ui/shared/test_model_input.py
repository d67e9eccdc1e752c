"""Which weights an address means, and what choosing some writes to it."""

import pytest

from cnnviz.inference.weights.references import Choice
from cnnviz.ui.shared.inspection import model_input

KNOWN = [
    Choice("checkpoint:lenet5-mnist", "lenet5-mnist", "lenet5", "mnist", 0.99, "shipped"),
    Choice("run:9", "small", "small-alexnet", "shapes", 0.8, "finished"),
    Choice("run:7", "mine", "lenet5", "digits", None, "running"),
]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({}, "checkpoint:lenet5-mnist"),
        ({"model": "lenet5"}, "checkpoint:lenet5-mnist"),
        ({"model": "small-alexnet"}, "run:9"),
        ({"model": "googlenet"}, "fresh:googlenet"),
        ({"model": "nonsense"}, "checkpoint:lenet5-mnist"),
        ({"run": "7"}, "run:7"),
        ({"run": "7", "weights": "run:7/best"}, "run:7/best"),
        ({"run": "7", "weights": "run:9"}, "run:7"),
        ({"weights": "run:123", "model": "lenet5"}, "run:123"),
        ({"weights": "fresh:alexnet", "model": "alexnet"}, "fresh:alexnet"),
        ({"weights": "fresh:alexnet", "model": "lenet5"}, "checkpoint:lenet5-mnist"),
        ({"weights": "torchvision:resnet18", "model": "torchvision/resnet18"}, "torchvision:resnet18"),
        ({"weights": "file:ab"}, "file:ab"),
    ],
)
def test_an_address_means(asked: dict[str, str], meant: str) -> None:
    assert model_input.reference(asked, KNOWN) == meant


def test_a_model_in_another_form_has_fresh_weights_only() -> None:
    assert model_input.reference({"model": "lenet5"}, KNOWN, own_form=False) == "fresh:lenet5"
    assert model_input.reference({"model": "lenet5", "run": "7"}, KNOWN, own_form=False) == "run:7"


def test_without_anything_trained_a_fresh_network_is_shown() -> None:
    assert model_input.reference({}, []) == "fresh:lenet5"


@pytest.mark.parametrize(
    ("chosen", "run", "model"),
    [
        ("run:9", "9", "small-alexnet"),
        ("run:7/best", "7", "lenet5"),
        ("checkpoint:lenet5-mnist", None, "lenet5"),
        ("fresh:vgg16-bn-32", None, "vgg16-bn-32"),
        ("run:123", "123", None),
    ],
)
def test_choosing_takes_run_and_model_along(chosen: str, run: str | None, model: str | None) -> None:
    assert model_input.parameters(chosen, KNOWN) == {"weights": chosen, "run": run, "model": model}


def test_what_is_written_is_what_is_read() -> None:
    for choice in KNOWN:
        written = model_input.parameters(choice.reference, KNOWN)
        given = {name: value for name, value in written.items() if value is not None}
        assert model_input.reference(given, KNOWN) == choice.reference


def test_every_label_says_where_weights_are_from() -> None:
    labels = model_input.labels(KNOWN)
    assert labels["checkpoint:lenet5-mnist"] == "lenet5-mnist · 99.0 % · ships with cnnviz"
    assert labels["run:7"] == "Run 7 · mine · running"
    assert labels["fresh:lenet5"] == "LeNet-5 · fresh weights"
    assert labels["torchvision:resnet18"].endswith("torchvision's weights")
