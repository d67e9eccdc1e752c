"""Which picture an address means, and which changes of the preprocessing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.ui.shared.inspection import image_input, predictions

OWN = Preprocessing.plain(1, (28, 28))
TRAINED = OWN.changed(scale="standardised", mean=(30.0,), spread=(70.0,))


@pytest.mark.parametrize("text", ["sample:digit-3", "test:123", "handed:2", "drawn", "camera"])
def test_a_picture_is_read_as_it_is_written(text: str) -> None:
    asked, wrong = image_input.read(text)
    assert wrong is None
    assert asked is not None
    assert asked.text == text


@pytest.mark.parametrize(
    "text", ["", "test:", "test:-1", "test:x", "sample:../etc", "drawn:1", "moon", "handed:1e9"]
)
def test_what_is_no_picture_is_said(text: str) -> None:
    asked, wrong = image_input.read(text)
    assert asked is None
    assert wrong is not None
    assert "can be sample:NAME" in wrong


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    asked, wrong = image_input.read(text)
    assert (asked is None) == (wrong is not None)
    how, _ = predictions.read_overrides(text, OWN)
    assert how.side == OWN.side


def test_changes_are_read_as_they_are_written() -> None:
    text = predictions.write_overrides({"invert": True, "fit": "pad"})
    assert text == "invert:true,fit:pad"
    how, wrong = predictions.read_overrides(text, OWN)
    assert wrong is None
    assert predictions.changed(how, OWN) == {"invert": True, "fit": "pad"}
    assert predictions.write_overrides({}) is None


@pytest.mark.parametrize("text", ["fit:round", "side:3", "scale:standardised", "nonsense"])
def test_changes_that_cannot_be_leave_the_networks_own(text: str) -> None:
    how, wrong = predictions.read_overrides(text, OWN)
    assert how == OWN
    assert wrong


def test_only_what_fits_the_network_is_offered() -> None:
    assert predictions.values("scale", OWN) == ["unit", "raw"]
    assert "standardised" in predictions.values("scale", TRAINED)
    assert "shorter" in predictions.values("fit", OWN)
    assert predictions.values("background", OWN) == ["white", "black", "grey"]
