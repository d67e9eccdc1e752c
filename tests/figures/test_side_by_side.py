"""Models side by side: what is drawn adds up to the totals, and scales are the same for all."""

import pytest

from cnnviz.analysis import analyze
from cnnviz.figures.side_by_side import Band, measures, side_by_side

NAMES = ("alexnet-cifar10", "small-alexnet", "resnet18-32")
NAMED = [(name, analyze(name)) for name in NAMES]


def test_totals_share_the_scale_of_the_largest() -> None:
    parameters = side_by_side(NAMED).panels[0]
    shares = {band.name: sum(part.share for part in band.parts) for band in parameters.bands}
    largest = max(analysis.total_params for _, analysis in NAMED)
    assert shares == pytest.approx({name: analysis.total_params / largest for name, analysis in NAMED})
    assert [band.total for band in parameters.bands] == ["58.3 M", "12.4 M", "11.2 M"]


def test_parts_are_the_kinds_with_exact_figures() -> None:
    band = side_by_side(NAMED).panels[0].bands[0]
    assert [(part.kind, part.text) for part in band.parts] == [
        ("conv", "convolution: 3,716,960, 6.4 %"),
        ("fc", "fully connected: 54,575,114, 93.6 %"),
    ]


@pytest.mark.parametrize("own_scale", [False, True])
def test_columns_share_a_scale_unless_each_has_its_own(own_scale: bool) -> None:
    for panel in side_by_side(NAMED, own_scale=own_scale).panels:
        tops = [max(column.height for column in band.columns) for band in panel.bands]
        assert max(tops) == 1
        assert (set(tops) == {1}) == own_scale


def test_columns_lie_in_order_within_the_depth() -> None:
    for panel in side_by_side(NAMED).panels:
        for band in panel.bands:
            ends = [(column.at, column.at + column.width) for column in band.columns]
            assert ends == sorted(ends)
            assert 0 <= ends[0][0] <= ends[-1][1] <= 1 + 1e-9


def test_memory_grows_with_the_batch() -> None:
    one, many = (side_by_side(NAMED, batch=batch).panels[2] for batch in (1, 128))
    assert (one.unit, many.unit) == ("activations, 1 image", "activations, 128 images")
    assert [band.total for band in one.bands] != [band.total for band in many.bands]


def test_columns_add_up_to_the_total_of_their_measure() -> None:
    counted = measures(1)[1]
    _, analysis = NAMED[0]
    heights = [column.height for column in side_by_side(NAMED[:1]).panels[1].bands[0].columns]
    largest = max(counted.count(row) for row in analysis.rows)
    assert sum(heights) * largest == pytest.approx(analysis.macs)


def test_very_deep_models_are_drawn_by_groups() -> None:
    bands: tuple[Band, ...] = side_by_side([("deep", analyze("torchvision/densenet201"))]).panels[1].bands
    assert len(bands[0].columns) <= 150


def test_the_description_tells_every_total() -> None:
    figure = side_by_side(NAMED)
    assert "Parameters: alexnet-cifar10 58.3 M (fully connected: 54,575,114, 93.6 %" in figure.alt
    assert all(name in figure.alt for name in NAMES)
    assert len(figure.hues) == len(NAMES)
