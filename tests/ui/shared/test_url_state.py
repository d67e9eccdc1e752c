"""What is in the URL is read, validated and written in one place, whatever stands there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import models
from cnnviz.ui.shared import url_state

SOME = ("alexnet-cifar10", "lenet5", "alexnet", "googlenet")
JUNK = st.text(max_size=60)
VALUES = JUNK | st.sampled_from(SOME) | st.integers().map(str)
OPTIONS = ("option.activation", "option.nothing", "set.flip")
NAMES = st.sampled_from([*url_state.CARRIED, *url_state.PASSED, *url_state.OWN, *OPTIONS]) | JUNK


def test_nothing_is_the_default_model_without_a_word() -> None:
    selection = url_state.read({})
    assert selection.spec.name == url_state.DEFAULT_MODEL
    assert (selection.classes, selection.size, selection.batch, selection.layer) == (None, None, 1, None)
    assert selection.problems == ()


def test_what_is_asked_for_is_read() -> None:
    selection = url_state.read(
        {"model": "alexnet", "classes": "10", "size": "240x227", "batch": "128", "layer": "conv2"}
    )
    assert selection.spec is models.get("alexnet")
    assert (selection.classes, selection.size, selection.batch) == (10, (240, 227), 128)
    assert selection.layer == "conv2"
    assert selection.problems == ()


def test_defaults_are_left_out() -> None:
    spec = models.get("lenet5")
    _, height, width = spec.input_shape
    selection = url_state.read(
        {"model": "lenet5", "classes": str(spec.classes), "size": f"{height}x{width}", "batch": "1"}
    )
    assert selection.parameters() == {"model": "lenet5"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"model": "alexnet-cifar"},
            ["“alexnet-cifar”", "did you mean alexnet-cifar10?", "shown instead"],
        ),
        ({"model": "%%%"}, ["There is no model “%%%”;"]),
        ({"classes": "ten"}, ["“classes”", "“ten”", "10 is used"]),
        ({"classes": "0"}, ["“0”", "1 to 100,000"]),
        ({"batch": "-3"}, ["“batch”", "“-3”"]),
        ({"size": "big"}, ["“size”", "“big”", "own 32 is used"]),
        ({"size": "99999"}, ["“99999”", "4,096"]),
        ({"option.activation": "sigmoid"}, ["activation", "sigmoid", "relu", "tanh"]),
        ({"option.colour": "red"}, ["colour"]),
        ({"modle": "lenet5"}, ["There is no parameter “modle”"]),
    ],
)
def test_what_is_wrong_is_said_with_what_is_used(parameters: dict[str, str], words: list[str]) -> None:
    (text,) = url_state.read(parameters).problems
    for word in words:
        assert word in text


def test_a_repeated_parameter_is_said() -> None:
    (text,) = url_state.read({"model": "lenet5"}, repeated=["model"]).problems
    assert text == "“model” is given more than once; the last is used."


def test_one_wrong_option_does_not_take_the_right_ones_along() -> None:
    selection = url_state.read({"option.activation": "tanh", "option.colour": "red"})
    assert selection.options == {"activation": "tanh"}
    assert len(selection.problems) == 1


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_junk_gives_a_selection_and_reading_it_again_gives_the_same(parameters: dict[str, str]) -> None:
    selection = url_state.read(parameters)
    again = url_state.read(selection.parameters())
    assert again.problems == ()
    assert (again.spec, again.classes, again.size, again.batch) == (
        selection.spec,
        selection.classes,
        selection.size,
        selection.batch,
    )
    assert (again.layer, again.options) == (selection.layer, selection.options)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_what_is_not_taken_over_is_said(parameters: dict[str, str]) -> None:
    selection = url_state.read(parameters)
    known = url_state.CARRIED + url_state.PASSED + url_state.OWN
    strangers = [n for n in parameters if n not in known and not n.startswith(("option.", "set."))]
    for name in strangers:
        assert any(url_state.quoted(name) in text for text in selection.problems)
    asked = parameters.get("model")
    if asked is not None and asked != selection.spec.name:
        assert any(url_state.quoted(asked) in text for text in selection.problems)


def test_every_parameter_of_a_page_is_read_by_one() -> None:
    folder = Path(url_state.__file__).parents[1]
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
        if path.name not in ("url_state.py", "paths.py")
    )
    unread = [name for name in url_state.OWN if f'"{name}"' not in code]
    assert not unread


@given(st.integers(1, url_state.MAX_SIDE), st.integers(1, url_state.MAX_SIDE), st.sampled_from("x×X*"))
def test_sizes_are_read_as_they_are_written(height: int, width: int, times: str) -> None:
    assert url_state.parse_size(f" {height} {times} {width} ") == (height, width)
    assert url_state.parse_size(url_state.size_text((height, width))) == (height, width)
