"""Areas hold every parameter once, block within block."""

from collections.abc import Iterator

import pytest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.figures.architecture import Area, parameter_tree, treemap_alt


def leaves(area: Area) -> Iterator[Area]:
    if not area.parts:
        yield area
    for part in area.parts:
        yield from leaves(part)


def blocks(area: Area) -> Iterator[Area]:
    if area.parts:
        yield area
        for part in area.parts:
            yield from blocks(part)


@pytest.mark.parametrize("name", models.names())
def test_every_parameter_is_in_one_area(name: str) -> None:
    analysis = analyze(name)
    tree = parameter_tree(analysis)
    assert {leaf.name: leaf.value for leaf in leaves(tree)} == {
        row.name: row.params for row in analysis.rows if row.params
    }
    assert all(block.value == sum(part.value for part in block.parts) for block in blocks(tree))
    assert tree.value == analysis.total_params


def test_blocks_are_named_and_a_block_around_one_part_is_not_drawn() -> None:
    tree = parameter_tree(analyze("googlenet"))
    result = {block.name: block for block in blocks(tree)}
    assert result["inception_3a"].value == 163_696
    assert result["inception_3a"].text == "163,696 parameters · 2.7 %"
    assert all(len(block.parts) > 1 for block in blocks(tree))


def test_data_is_the_same_tree() -> None:
    tree = parameter_tree(analyze("small-alexnet"))
    data = tree.data()
    assert data["value"] == 12_417_098
    assert [part["label"] for part in data["parts"]] == [part.label for part in tree.parts]


def test_alternative_text_names_the_largest() -> None:
    words = treemap_alt(analyze("alexnet-cifar10"))
    assert "fc1 65 %, fc2 29 %, conv4 2 %" in words
