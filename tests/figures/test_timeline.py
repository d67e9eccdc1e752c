"""The lineage: its facts against other sources, its areas against its facts."""

from math import sqrt
from xml.etree import ElementTree

import pytest

from cnnviz import models
from cnnviz.analysis import analyze, overview
from cnnviz.figures import timeline
from cnnviz.figures.timeline import (
    SQUARE,
    TIMELINE_MODELS,
    TimelineEntry,
    columns,
    square_side,
    square_svg,
    timeline_entry,
    timeline_svg,
)

FACTS = {entry.name: entry for entry in overview()}
NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


def row(name: str) -> TimelineEntry:
    facts = FACTS[name]
    return timeline_entry(
        analyze(name),
        year=facts.year,
        depth=facts.depth,
        accuracy=facts.accuracy,
        accuracy_on=facts.accuracy_on,
    )


@pytest.fixture(scope="module")
def rows() -> list[TimelineEntry]:
    return [row(name) for name in TIMELINE_MODELS]


def test_the_years_are_those_the_articles_tell(rows: list[TimelineEntry]) -> None:
    assert [one.year for one in rows] == [1998, 2012, 2014, 2014, 2015]
    assert [one.name for one in rows] == [models.get(name).name for name in TIMELINE_MODELS]
    assert set(timeline.CONTRIBUTIONS) == set(TIMELINE_MODELS)


@pytest.mark.parametrize(
    ("name", "params", "gmac"),
    [
        ("alexnet", 62_378_344, 1.135),
        ("torchvision/vgg16", 138_357_544, 15.47),
        ("torchvision/googlenet", 6_624_904, 1.498),
        ("torchvision/resnet50", 25_557_032, 4.089),
    ],
)
def test_parameters_and_arithmetic_are_the_published_ones(name: str, params: int, gmac: float) -> None:
    one = row(name)
    assert sum(one.params.values()) == params
    assert sum(one.macs.values()) / 1e9 == pytest.approx(gmac, rel=5e-4)


def test_vgg_is_nine_tenths_dense_and_computes_by_convolution(rows: list[TimelineEntry]) -> None:
    vgg = rows[TIMELINE_MODELS.index("torchvision/vgg16")]
    assert vgg.params["fc"] / sum(vgg.params.values()) == pytest.approx(0.894, abs=0.001)
    assert vgg.macs["fc"] / sum(vgg.macs.values()) == pytest.approx(0.008, abs=0.0005)


def test_areas_are_in_proportion() -> None:
    assert square_side(100, 100) == SQUARE
    assert square_side(25, 100) == pytest.approx(SQUARE / 2)
    assert square_side(1, 10**12) == 1.5


def test_a_square_is_cut_by_kind(rows: list[TimelineEntry]) -> None:
    alexnet = rows[TIMELINE_MODELS.index("alexnet")]
    total = sum(alexnet.params.values())
    svg = ElementTree.fromstring(square_svg(alexnet.params, 138_357_544, "parameters"))
    bands = {str(band.get("class")).split()[0]: band for band in svg}
    side = SQUARE * sqrt(total / 138_357_544)
    heights = {kind: float(str(band.get("height"))) for kind, band in bands.items()}
    assert sum(heights.values()) == pytest.approx(side, abs=0.05)
    assert heights["k-fc"] / side == pytest.approx(alexnet.params["fc"] / total, abs=0.001)
    assert svg.get("aria-label") == "62.4 M parameters: 6 % convolution, 94 % fully connected"


def test_a_row_in_words(rows: list[TimelineEntry]) -> None:
    assert rows[2].facts == (
        "VGG-16, 2014: 16 weight layers deep, 138 M parameters (11 % convolutional), 15.5 GMAC, "
        "71.6 % on ImageNet"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sheet_holds_every_row_and_no_colour_of_the_page(rows: list[TimelineEntry], theme: str) -> None:
    text = timeline_svg(rows, "dark" if theme == "dark" else "light")
    svg = ElementTree.fromstring(text)
    words = " ".join(part.text or "" for part in svg.iterfind(".//svg:text", NAMESPACE))
    for one in rows:
        assert one.title in words
        assert one.accuracy_words in words
    assert "var(" not in text
    assert "light-dark" not in text
    assert len(svg.findall(".//svg:path[@class='face']", NAMESPACE)) == sum(len(one.volumes) for one in rows)


def test_there_is_room_for_the_deepest(rows: list[TimelineEntry]) -> None:
    assert columns(rows) == max(one.depth for one in rows) == 50
