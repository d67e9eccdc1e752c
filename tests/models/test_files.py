"""Models from the user's own Python file, for the command line."""

from pathlib import Path

import pytest

from cnnviz.models.files import from_file, is_file_model
from tests.models.weightless import output, weightless

SOURCE = '''
"""Networks of a user's own."""
from __future__ import annotations

from dataclasses import dataclass

from torch import nn

import helper_beside_it


@dataclass
class Settings:
    width: int = helper_beside_it.WIDTH


class Net(nn.Module):
    def __init__(self, num_classes=12):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, Settings().width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(Settings().width, num_classes)

    def forward(self, x):
        return self.fc(self.body(x))


def make(num_classes):
    return Net(num_classes)


def fixed():
    return Net(5)


def picky(depth):
    return Net(depth)


def wrong():
    return "not a module"


def fails():
    raise KeyError("first line\\nsecond line")


ready = Net()
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "helper_beside_it.py").write_text("WIDTH = 4\n", encoding="utf-8")
    return str(tmp_path / "nets.py")


def test_a_class_is_called_with_the_number_of_classes(file: str) -> None:
    spec = from_file(f"{file}:Net")
    assert (spec.title, spec.classes, spec.input_shape, spec.source) == ("Net", 12, (3, 224, 224), "yours")
    assert output(weightless(spec), (3, 16, 16)) == (2, 12)
    assert output(weightless(spec, classes=3), (3, 16, 16)) == (2, 3)


def test_a_function_without_a_default_gives_a_thousand_classes(file: str) -> None:
    assert output(weightless(from_file(f"{file}:make")), (3, 16, 16)) == (2, 1000)


def test_a_function_that_takes_no_number_of_classes_is_called_without(file: str) -> None:
    spec = from_file(f"{file}:fixed")
    assert output(weightless(spec), (3, 16, 16)) == (2, 5)
    with pytest.raises(ValueError, match="has no parameter 'num_classes'"):
        weightless(spec, classes=3)


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("Missing", r"There is no 'Missing' in .*nets\.py; it defines Settings, Net, make, fixed, picky"),
        ("ready", "'ready' in .* is a Net, not a class or a function"),
    ],
)
def test_what_is_not_there_is_said_at_once(file: str, attribute: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        from_file(f"{file}:{attribute}")


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("picky", r"picky cannot be built: TypeError: .*missing 1 required positional argument: 'depth'$"),
        ("wrong", r"wrong gives a str, not a torch\.nn\.Module\.$"),
        ("fails", r"fails cannot be built: KeyError: 'first line.*second line'$"),
    ],
)
def test_what_cannot_be_built_is_said_when_it_is(file: str, attribute: str, sentence: str) -> None:
    spec = from_file(f"{file}:{attribute}")
    with pytest.raises(ValueError, match=sentence):
        weightless(spec)


def test_a_missing_file_and_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file '.*nothing\.py'"):
        from_file(f"{tmp_path}/nothing.py:Net")
    with pytest.raises(ValueError, match=r"is not of the form path/to/file\.py:ClassOrFunction"):
        from_file("alexnet")


@pytest.mark.parametrize("line", ["import no_such_package", "raise SystemExit(3)", "def ("])
def test_a_file_that_does_not_run_is_one_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / "broken.py").write_text(line, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.py does not run: (ModuleNotFound|SystemExit|SyntaxError)"):
        from_file(f"{tmp_path}/broken.py:Net")


@pytest.mark.parametrize(
    ("name", "is_file"),
    [("a/b.py:Net", True), ("b.py:make", True), ("alexnet", False), ("b.py", False), ("b.py:", False)],
)
def test_which_names_mean_a_file(name: str, is_file: bool) -> None:
    assert is_file_model(name) is is_file
