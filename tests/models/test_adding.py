"""The guide to adding a model is right: its examples are registered and built as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cnnviz.models
from tests.models.weightless import output, weightless

GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-model.md"
NAMES = ("tiny-cnn", "tiny-mlp")


@pytest.fixture
def _registered() -> Iterator[None]:
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    ):
        namespace: dict[str, Any] = {"__name__": f"guide_{number}"}
        exec(compile(block, str(GUIDE), "exec"), namespace)
    yield
    for name in NAMES:
        cnnviz.models.remove(name)


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("name", NAMES)
def test_the_guides_examples_are_models_like_any_other(name: str) -> None:
    assert cnnviz.models.get(name).source == "yours"
    assert output(weightless(name), (3, 32, 32)) == (2, 10)
    assert output(weightless(name, classes=4, input_size=20), (3, 20, 20)) == (2, 4)


@pytest.mark.usefixtures("_registered")
def test_the_guides_option_is_a_choice() -> None:
    layers = cnnviz.models.layer_list("tiny-cnn", options={"activation": "tanh"})
    assert layers is not None
    assert "tanh" in layers.write()
