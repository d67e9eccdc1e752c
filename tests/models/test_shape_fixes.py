"""What would fit: every change offered mends the first misfit, and the usual mistakes get an offer."""

import pytest
from hypothesis import given

from cnnviz.models.layer_list_edit import fixes, misfit
from cnnviz.models.layers import (
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Layer,
    LayerList,
    Linear,
    Pool,
)
from tests.models.layer_lists import documents


def listed(*layers: Layer) -> LayerList:
    return LayerList(input=(3, 12, 12), classes=10, layers=layers)


def labels(document: LayerList) -> list[str]:
    return [fix.label for fix in fixes(document)]


@given(documents)
def test_every_fix_brings_the_misfit_nearer_to_the_end(document: LayerList) -> None:
    before = misfit(document)
    for fix in fixes(document):
        after = misfit(fix.document)
        assert before is not None
        assert after is None or len(fix.document.layers) - after < len(document.layers) - before


@given(documents.filter(lambda d: d.layers))
def test_following_fixes_leads_to_a_list_that_can_be_built_or_to_none(document: LayerList) -> None:
    for _ in range(2 * len(document.layers) + 1):
        offered = fixes(document)
        if not offered:
            break
        document = offered[0].document
    assert misfit(document) is None or not fixes(document)


@pytest.mark.parametrize(
    ("document", "place", "offered"),
    [
        (listed(Conv(kernel=15), Flatten(), Linear()), 0, ["Kernel 12", "Padding 2"]),
        (listed(Pool(kernel=3, padding=2), Flatten(), Linear()), 0, ["Padding 0"]),
        (listed(Conv(out=32, groups=2), Flatten(), Linear()), 0, ["Groups 1"]),
        (listed(Linear()), 0, ["Flatten before it", "Average each map before it"]),
        (listed(Flatten(), Conv(), Linear()), 1, ["Move it before flatten1"]),
        (listed(Flatten(), Dropout(maps=True), Linear()), 1,
         ["Drop single values", "Move it before flatten1"]),
        (listed(Flatten(), Linear(out=20)), 2,
         ["linear1: one unit a class", "Add a last layer of one unit a class"]),
        (listed(BatchNorm()), 1,
         ["Flatten, then one unit a class", "Average each map, then one unit a class"]),
        (listed(Flatten(), Linear()), None, []),
        (listed(), 0, []),
    ],
)  # fmt: skip
def test_the_usual_mistakes(document: LayerList, place: int | None, offered: list[str]) -> None:
    assert misfit(document) == place
    assert labels(document) == offered
