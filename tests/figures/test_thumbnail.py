"""The miniatures: which layers stand where, and how large they are drawn."""

import re
from collections import Counter
from math import sqrt
from xml.etree import ElementTree

import pytest

from cnnviz.analysis import analyze, overview
from cnnviz.figures.timeline import (
    HEIGHT,
    MAX_UNITS,
    TIMELINE_MODELS,
    box_svg,
    column_height,
    thumbnail_svg,
    volumes,
)

DEPTH = {entry.name: entry.depth for entry in overview()}


@pytest.mark.parametrize("name", TIMELINE_MODELS)
def test_the_drawing_is_as_deep_as_the_network(name: str) -> None:
    drawn = [volume for volume in volumes(analyze(name)) if volume.kind != "pool"]
    assert {volume.column for volume in drawn} == set(range(1, DEPTH[name] + 1))


@pytest.mark.parametrize("name", TIMELINE_MODELS)
def test_every_weight_layer_is_drawn_once_and_none_that_only_training_uses(name: str) -> None:
    analysis = analyze(name)
    kinds = ("conv", "fc")
    layers = [row.name for row in analysis.rows if row.kind in kinds and row.params and not row.training_only]
    drawn = Counter(volume.name for volume in volumes(analysis) if volume.kind in kinds)
    assert drawn == Counter(layers)


def test_branches_share_a_column_by_their_channels() -> None:
    block = "inception_3a."
    drawn = [volume for volume in volumes(analyze("googlenet")) if volume.name.startswith(block)]
    convs = [volume for volume in drawn if volume.kind == "conv"]
    first = [volume for volume in convs if volume.column == min(v.column for v in convs)]
    # The article's block 3a: 64 maps of 1×1, reductions to 96 and to 16, and 32 maps behind the pooling.
    assert sorted(volume.channels for volume in first) == [16, 32, 64, 96]
    ends = sorted(volume.share for volume in first)
    assert [low for low, _ in ends] == pytest.approx([0, *[high for _, high in ends[:-1]]])
    assert ends[-1][1] == 1
    for volume in first:
        assert volume.share[1] - volume.share[0] == pytest.approx(volume.channels / 208)


def test_only_poolings_that_shrink_the_maps_are_drawn() -> None:
    pools = [volume.name for volume in volumes(analyze("googlenet")) if volume.kind == "pool"]
    assert pools == ["pool1", "pool2", "pool3", "pool4", "pool5"]


def test_heights_follow_the_square_roots_of_sides_and_units() -> None:
    by_name = {volume.name: volume for volume in volumes(analyze("alexnet"))}
    convs = [volume for volume in by_name.values() if volume.kind == "conv"]
    for volume in convs:
        assert column_height(volume) / column_height(convs[0]) == pytest.approx(
            sqrt(volume.side / convs[0].side)
        )
    dense = [volume for volume in by_name.values() if volume.kind == "fc"]
    assert [volume.channels for volume in dense] == [4096, 4096, 1000]
    assert [column_height(volume) for volume in dense] == pytest.approx(
        [HEIGHT, HEIGHT, HEIGHT * sqrt(1000 / MAX_UNITS)]
    )


@pytest.mark.parametrize("name", TIMELINE_MODELS)
def test_the_drawing_is_sound_svg_within_its_frame(name: str) -> None:
    drawn = volumes(analyze(name))
    svg = ElementTree.fromstring(thumbnail_svg(drawn, 50, "words"))
    assert svg.get("aria-label") == "words"
    assert len(svg) == len(drawn)
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    for volume in drawn:
        x, y = map(float, re.findall(r'face" d="M(\S+) ([\d.]+)', box_svg(volume))[0])
        assert 0 <= x <= width
        assert 0 <= y <= height
