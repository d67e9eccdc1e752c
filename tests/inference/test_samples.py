"""Bundled pictures: each is read like an upload, always the same, and says whose it is."""

import numpy as np
import pytest

from cnnviz.inference import InferenceError, samples
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.preprocessing_trace import steps
from cnnviz.inference.images.read_image import Picture, read
from cnnviz.inference.samples import Sample


@pytest.mark.parametrize("sample", samples.all_samples().values(), ids=lambda sample: sample.name)
def test_every_sample_is_a_picture_with_a_credit(sample: Sample) -> None:
    result = read(sample.upload())
    assert isinstance(result, Picture), result
    assert min(result.size) >= 28
    assert sample.credit
    assert sample.licence
    assert (sample.credit == samples.OURS) == (sample.licence == samples.LICENCE)
    assert sample.title[0].isupper()


def test_ours_are_drawn_the_same_every_time() -> None:
    for sample in samples.all_samples().values():
        one, two = sample.make(), sample.make()
        assert one == two


def test_ink_on_paper_stands_upright_after_its_note_is_obeyed() -> None:
    picture = read(samples.get(f"paper-{samples.ON_PAPER}").upload())
    assert isinstance(picture, Picture)
    assert picture.orientation == 6
    how = Preprocessing.plain(1, (28, 28)).changed(invert=True, centre=True)
    tensor = steps(picture, how)[-1].tensor
    drawn = steps(Picture.of_data("x", np.asarray(samples.digit(4))[None]), how.changed(invert=False))[
        -1
    ].tensor
    assert tensor is not None
    assert drawn is not None
    assert float(((tensor > 0.5) == (drawn > 0.5)).float().mean()) > 0.95


def test_scanned_digits_are_those_that_they_are_called() -> None:
    from sklearn.datasets import load_digits

    targets = load_digits().target
    for name, sample in samples.all_samples().items():
        if name.startswith("scanned-"):
            row = int(sample.make.args[0])  # type: ignore[attr-defined]
            assert targets[row] == int(name.removeprefix("scanned-"))


def test_a_sample_that_there_is_not_is_a_sentence() -> None:
    with pytest.raises(InferenceError, match="no sample 'nothing'; there are: digit-0, digit-1"):
        samples.get("nothing")
