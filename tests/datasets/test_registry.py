"""Every registered data set says what it is; listing them costs nothing."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from cnnviz import datasets
from cnnviz.datasets import Arrays, DataError, DatasetSpec, UnknownDatasetError, registry

SPECS = {name: spec for name, spec in datasets.specs().items() if spec.source != "yours"}
OFFLINE = [name for name, spec in SPECS.items() if spec.offline]


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_complete(name: str) -> None:
    spec = SPECS[name]
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.origin.endswith(".")
    assert spec.licence
    assert spec.shape[0] in (1, 3)
    assert len(set(spec.classes)) == len(spec.classes) >= 2
    assert spec.offline == (spec.download_bytes == 0)


@pytest.mark.parametrize("name", OFFLINE)
def test_what_is_offline_loads_as_its_spec_says(name: str) -> None:
    spec, ready = SPECS[name], datasets.load(name)
    assert ready.shape == ready.test.shape == spec.shape
    assert (len(ready.train), len(ready.test)) == (spec.train, spec.test)
    assert ready.classes == spec.classes
    for part in (ready.train, ready.test):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert np.unique(part.labels).tolist() == list(range(len(spec.classes)))
    assert ready.notes[0] == spec.split


def test_what_needs_no_network_comes_first() -> None:
    assert list(SPECS)[: len(OFFLINE)] == OFFLINE
    assert {"digits", "shapes"} <= set(OFFLINE)


def test_listing_imports_nothing_heavy() -> None:
    heavy = "sorted({'torch', 'torchvision', 'sklearn', 'pyarrow', 'datasets', 'PIL'} & {*sys.modules})"
    code = f"import sys, cnnviz.datasets as d; d.specs(); d.prepared('digits'); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownDatasetError, match=r"no folder or file 'digitz'; did you mean digits\?"):
        datasets.load("digitz")
    with pytest.raises(UnknownDatasetError, match="`python -m cnnviz data list` lists them all"):
        datasets.get("qqqqqq")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_what_cannot_be_a_path_is_an_error_in_words(name: str) -> None:
    with pytest.raises(DataError):
        datasets.load(name)


@pytest.fixture
def mine() -> Iterator[str]:
    yield "mine-for-a-test"
    datasets.remove("mine-for-a-test")


def _register(name: str, arrays: Arrays) -> None:
    datasets.register(
        name,
        title="Mine",
        summary="Two colors.",
        shape=(3, 4, 4),
        classes=("dark", "light"),
        train=4,
        test=2,
        origin="A test.",
        licence="MIT",
        offline=True,
    )(lambda options, progress: arrays)


def _arrays(labels: list[int]) -> Arrays:
    images = np.zeros((len(labels), 3, 4, 4), dtype=np.uint8)
    return Arrays(images, np.array(labels), images[:2], np.array([0, 1]))


def test_a_users_own_function_is_registered_by_one_decorator(mine: str) -> None:
    _register(mine, _arrays([0, 1, 0, 1]))
    assert datasets.get(mine).source == "yours"
    assert list(datasets.specs())[-1] == mine
    assert datasets.load(mine).train.labels.tolist() == [0, 1, 0, 1]


def test_labels_out_of_range_are_refused(mine: str) -> None:
    _register(mine, _arrays([0, 1, 2]))
    with pytest.raises(DataError, match="labels from 0 to 2, but its 2 classes go from 0 to 1"):
        datasets.load(mine)
    assert datasets.prepared(mine) is None


def test_a_loader_that_returns_floats_is_told_what_to_return(mine: str) -> None:
    wrong = np.zeros((2, 3, 4, 4), dtype=np.float32)
    _register(mine, Arrays(wrong, np.array([0, 1]), wrong, np.array([0, 1])))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=re.escape("must return uint8 (N, C, H, W)")):
        datasets.load(mine)


def test_a_users_data_set_cannot_take_the_name_of_another() -> None:
    with pytest.raises(ValueError, match="The name 'digits' is taken"):
        _register("digits", _arrays([0, 1]))
    assert datasets.get("digits").source == "cnnviz"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "Upper", "x" * 81, "../up"])
def test_names_that_could_be_paths_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a data set's name"):
        _register(name, _arrays([0, 1]))


def test_a_broken_entry_point_is_told_of_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("theirs", "no_such_package.data", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: (broken,))
    registry._load_entry_points.cache_clear()
    try:
        assert "digits" in datasets.specs()
        (problem,) = datasets.problems()
    finally:
        registry._load_entry_points.cache_clear()
    assert problem.startswith(
        "The data sets of entry point 'theirs' (no_such_package.data) could not be loaded"
    )


def test_specs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        SPECS["digits"].name = "other"  # type: ignore[misc]
    assert isinstance(SPECS["digits"], DatasetSpec)
