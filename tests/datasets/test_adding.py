"""The example in the guide is run as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cnnviz import datasets

GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-dataset.md"


@pytest.fixture
def example() -> Iterator[str]:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(GUIDE), "exec"), {"__name__": "guide"})
    yield "stripes"
    datasets.remove("stripes")


def test_the_example_loads_as_its_spec_says(example: str) -> None:
    spec, ready = datasets.get(example), datasets.load(example)
    assert (len(ready.train), len(ready.test), ready.shape) == (spec.train, spec.test, spec.shape)
    lying = ready.train.images[ready.train.labels == 0]
    assert (lying == lying[..., :1]).all()
    assert np.unique(ready.train.images).tolist() == [0, 255]
