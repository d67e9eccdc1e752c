"""All models as points: every one of them, in a group, with its facts."""

import pytest

from cnnviz import models
from cnnviz.analysis import overview
from cnnviz.figures.pareto import GROUPS, LANDMARKS, group_of, landscape, landscape_words
from cnnviz.models.registry import specs


def test_every_shipped_model_is_a_point() -> None:
    points = landscape(overview())["points"]
    registered = {spec.name for spec in specs().values() if spec.source in ("cnnviz", "torchvision")}
    assert {point["name"] for point in points} == registered
    assert len(points) == len(registered)


def test_points_carry_the_facts_of_their_model() -> None:
    points = {point["name"]: point for point in landscape(overview())["points"]}
    vgg = points["torchvision/vgg16"]
    assert (vgg["params"], vgg["macs"], vgg["ours"]) == (138_357_544, 15_470_264_320, False)
    assert vgg["facts"][:2] == ["138,357,544 parameters", "15.5 GMAC for 3×224×224"]
    assert "71.6 % on ImageNet" in vgg["facts"]
    assert points["lenet5"]["ours"]


def test_ours_lie_above_the_others() -> None:
    ours = [point["ours"] for point in landscape(overview())["points"]]
    assert ours == sorted(ours)
    assert any(ours)


def test_groups_hold_every_family_once() -> None:
    families = [family for group in GROUPS for family in group.families]
    assert len(families) == len(set(families))
    assert {entry.family for entry in overview()} <= set(families)
    assert group_of("VGG") != group_of("ResNet")
    with pytest.raises(KeyError):
        group_of("Perceptron")


def test_landmarks_are_models() -> None:
    assert set(LANDMARKS) <= set(models.names())


def test_the_words_name_the_extremes() -> None:
    words = landscape_words(overview())
    assert "ViT-H/14" in words
    assert "LeNet-5 (1998)" in words
    assert f"{len(overview())} models" in words
