"""The examples of docs/adding-*.md and README pass our own checks as they stand, and do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnviz import datasets

ROOT = Path(__file__).parents[1]
PLACES = {
    "README.md": ["cnnviz/models/families/guide.py"],
    "docs/adding-a-model.md": ["cnnviz/models/families/guide.py"] * 2,
    "docs/adding-a-dataset.md": ["cnnviz/datasets/sources/guide.py"],
    "docs/adding-a-page.md": [
        "pages/neighbours.py",
        "cnnviz/ui/pages/neighbours/page.py",
        "cnnviz/training/recipes/guide.py",
        "cnnviz/diagnosis/rules/guide.py",
        "cnnviz/diagnosis/probes/guide.py",
        "cnnviz/experiments/presets/guide.py",
    ],
}
"""Where each example of a document would lie, in order."""


def examples(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


EXAMPLES = [
    (place, code) for name in PLACES for place, code in zip(PLACES[name], examples(name), strict=True)
]


# What an example adds does not exist here, and is of the project all the same.
SORTED = ("--config", "lint.isort.known-first-party=['cnnviz']")


@pytest.mark.parametrize("command", [("check", *SORTED), ("format", "--check")], ids=["lint", "format"])
@pytest.mark.parametrize(("place", "code"), EXAMPLES, ids=[place for place, _ in EXAMPLES])
def test_an_example_passes_ruff_where_it_is_said_to_lie(
    place: str, code: str, command: tuple[str, ...]
) -> None:
    line = [sys.executable, "-m", "ruff", *command, "--stdin-filename", place, "-"]
    done = subprocess.run(line, input=code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_data_set_of_the_guide_loads_as_its_spec_says() -> None:
    (code,) = examples("docs/adding-a-dataset.md")
    name = "as-in-the-guide"
    try:
        exec(compile(code.replace('"stripes"', f'"{name}"'), "guide", "exec"), {"__name__": "guide"})
        spec, ready = datasets.get(name), datasets.load(name)
        assert ready.shape == spec.shape
        assert (len(ready.train), len(ready.test)) == (spec.train, spec.test)
        assert np.unique(ready.test.labels).tolist() == [0, 1]
    finally:
        datasets.remove(name)
