"""The examples of adding a model, in guide and README, are registered and built as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cnnviz.models
from tests.models.weightless import output, weightless

ROOT = Path(__file__).parents[2]
GUIDES = (ROOT / "docs" / "adding-a-model.md", ROOT / "README.md")
NAMES = ("tiny-cnn", "tiny-mlp", "one-conv")
OURS = "as-in-the-guide-"
"""Before a name here: whoever follows the guide has a model of the name that stands there."""


@pytest.fixture
def _registered() -> Iterator[None]:
    for guide in GUIDES:
        blocks = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.S)
        for number, block in enumerate(blocks):
            for name in NAMES:
                block = block.replace(f'"{name}"', f'"{OURS}{name}"')
            namespace: dict[str, Any] = {"__name__": f"guide_{number}"}
            exec(compile(block, str(guide), "exec"), namespace)
    yield
    for name in NAMES:
        cnnviz.models.remove(OURS + name)


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("name", NAMES)
def test_the_guides_examples_are_models_like_any_other(name: str) -> None:
    name = OURS + name
    assert cnnviz.models.get(name).source == "yours"
    assert output(weightless(name), (3, 32, 32)) == (2, 10)
    assert output(weightless(name, classes=4, input_size=20), (3, 20, 20)) == (2, 4)


@pytest.mark.usefixtures("_registered")
def test_the_guides_option_is_a_choice() -> None:
    layers = cnnviz.models.layer_list(f"{OURS}tiny-cnn", options={"activation": "tanh"})
    assert layers is not None
    assert "tanh" in layers.write()
