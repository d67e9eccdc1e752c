"""Which models stand side by side: read from the URL, and every fault said."""

import pytest

from cnnviz import models
from cnnviz.ui.pages.compare import DEFAULT, entry_text, label, read
from cnnviz.ui.shared.url_state import Selection

PLAIN = Selection(models.get("alexnet-cifar10"))


def names(**parameters: str) -> tuple[list[str], tuple[int, int], tuple[str, ...]]:
    result = read(parameters, PLAIN, [])
    return [entry_text(entry) for entry in result.entries], result.pair, result.problems


def test_without_anything_there_is_something_worth_seeing() -> None:
    assert names() == (list(DEFAULT), (0, 1), ())


def test_models_are_read_with_their_own_settings_and_written_back() -> None:
    text = "alexnet~activation=tanh,lenet5~classes=7~size=32,resnet18-32"
    assert names(models=text, pair="3,1") == (text.split(","), (2, 0), ())
    first = read({"models": text}, PLAIN, []).entries[0]
    assert label(first) == f"{models.get('alexnet').title} (activation tanh)"


def test_a_model_that_another_page_had_selected_comes_first() -> None:
    carried = Selection(models.get("lenet5"), classes=7, batch=32)
    result = read({"model": "lenet5"}, carried, [])
    assert [entry_text(entry) for entry in result.entries] == ["lenet5~classes=7", *DEFAULT[:3]]
    assert result.batch == 32


@pytest.mark.parametrize(
    ("text", "left", "said"),
    [
        ("lenet5", ["lenet5", "alexnet-cifar10"], "takes 2 to 4 models; AlexNet for CIFAR-10 is added"),
        ("", ["alexnet-cifar10", "small-alexnet"], "are added"),
        ("lenet5,lenet5,alexnet", ["lenet5", "alexnet"], "is named twice"),
        ("lenet5,alexnett,resnet18-32", ["lenet5", "resnet18-32"], "no model “alexnett”"),
        (
            "lenet5,alexnet,googlenet,resnet18-32,vgg16-bn-32",
            ["lenet5", "alexnet", "googlenet", "resnet18-32"],
            "At most 4 models",
        ),
        ("lenet5~colour=red,alexnet", ["lenet5", "alexnet"], "no option 'colour'"),
        ("lenet5~classes=0,alexnet", ["lenet5", "alexnet"], "“classes” cannot be “0”"),
        ("lenet5~tanh,alexnet", ["lenet5", "alexnet"], "write name~option=value"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_stays(text: str, left: list[str], said: str) -> None:
    result, _, problems = names(models=text)
    assert result == left
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].endswith(".")


@pytest.mark.parametrize("pair", ["1", "1,1", "0,1", "1,5", "a,b", "1,2,3"])
def test_a_pair_that_cannot_be_is_said(pair: str) -> None:
    _, result, problems = names(pair=pair)
    assert result == (0, 1)
    assert "“pair” cannot be" in problems[0]


def test_the_same_model_with_other_settings_is_another() -> None:
    result, _, problems = names(models="alexnet,alexnet~activation=tanh")
    assert (result, problems) == (["alexnet", "alexnet~activation=tanh"], ())


def test_a_long_text_is_not_read_to_its_end() -> None:
    result, _, _ = names(models="lenet5,alexnet," + "x," * 100_000)
    assert result == ["lenet5", "alexnet"]
