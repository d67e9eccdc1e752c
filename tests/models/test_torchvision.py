"""torchvision's 80 models: the shipped table is what torchvision says, and the sizes are those that work."""

from typing import Any

import pytest
from torchvision import models

from cnnviz.models import get
from cnnviz.models.families.torchvision import multiple_of, table
from cnnviz.models.torchvision_metadata import FAMILIES, family_of, stated, works
from tests.models.weightless import default, output, weightless

ROWS = {row["name"]: row for row in table()}


def one_of_each_family() -> list[str]:
    """A cheap look at every architecture: the first name of each pattern."""
    return list({family_of(name)[0].pattern: name for name in reversed(ROWS)}.values())


def test_the_table_lists_exactly_torchvisions_models() -> None:
    assert list(ROWS) == models.list_models(module=models)
    assert len(ROWS) == 80


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_what_torchvision_states(name: str) -> None:
    assert ROWS[name] == {**stated(name), "min_size": ROWS[name]["min_size"]}


@pytest.mark.parametrize(
    "name",
    [
        # One of each family shows it; the others' numbers are gone through by `make soak`.
        pytest.param(name, marks=[] if name in one_of_each_family() else pytest.mark.slow)
        for name in ROWS
        if multiple_of(name) == 1
    ],
)
def test_the_smallest_input_works_and_the_next_smaller_does_not(name: str) -> None:
    smallest = ROWS[name]["min_size"]
    assert works(default(f"torchvision/{name}"), smallest)
    if smallest > 1:
        assert not works(default(f"torchvision/{name}"), smallest - 1)
        with pytest.raises(ValueError, match=f"{name} takes is {smallest}×{smallest}, not {smallest - 1}×"):
            weightless(f"torchvision/{name}", input_size=smallest - 1)


@pytest.mark.parametrize("name", one_of_each_family())
def test_builds_with_another_number_of_classes_and_another_size(name: str) -> None:
    size = multiple_of(name) * 2 if multiple_of(name) > 1 else ROWS[name]["min_size"] + 20
    model = weightless(f"torchvision/{name}", classes=7, input_size=size)
    assert output(model, (3, size, size)) == (2, 7)


@pytest.mark.parametrize(("name", "unit"), [("vit_b_16", 16), ("vit_h_14", 14), ("maxvit_t", 224)])
def test_sizes_of_patches_are_kept_to(name: str, unit: int) -> None:
    for size in (unit + 1, (unit, 2 * unit)):
        with pytest.raises(ValueError, match=f"takes squares whose side is a multiple of {unit}, not "):
            weightless(f"torchvision/{name}", input_size=size)
    assert output(weightless(f"torchvision/{name}", input_size=unit), (3, unit, unit)) == (2, 1000)


def test_every_family_is_of_use() -> None:
    assert {family_of(name)[0] for name in ROWS} == set(FAMILIES)
    with pytest.raises(ValueError, match="'novelnet' belongs to no family"):
        family_of("novelnet")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("resnet50", "ResNet-50"),
        ("regnet_y_1_6gf", "RegNetY-1.6GF"),
        ("resnext50_32x4d", "ResNeXt-50 32×4d"),
        ("mobilenet_v3_large", "MobileNetV3-Large"),
        ("convnext_tiny", "ConvNeXt-Tiny"),
        ("vit_b_16", "ViT-B/16"),
        ("mnasnet0_75", "MNASNet 0.75"),
        ("vgg16_bn", "VGG-16 with batch norm"),
    ],
)
def test_titles_are_as_a_person_would_write_them(name: str, title: str) -> None:
    assert get(f"torchvision/{name}").title == title


def test_no_two_models_share_a_title() -> None:
    titles = [row["title"] for row in ROWS.values()]
    assert len(set(titles)) == len(titles)


def test_published_figures_are_fractions_and_counts() -> None:
    facts: dict[str, Any] = {p.what: p.value for p in get("torchvision/alexnet").published}
    assert facts == {"params": 61_100_840, "macs": 714e6, "accuracy": 0.56522, "accuracy_top5": 0.79066}
