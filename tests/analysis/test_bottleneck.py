"""What a 1×1 reduction saves, against the article's figures and against real modules."""

import pytest
from torch import nn

from cnnviz.analysis import analyze
from cnnviz.analysis.bottleneck import ARTICLE, ARTICLE_DENSE, Reduction, dense_weights, last_maps, stages


def test_the_articles_example() -> None:
    assert ARTICLE.naive.macs == 112_896_000
    assert ARTICLE.reduced.macs == 5_268_480
    assert (ARTICLE.naive.params, ARTICLE.reduced.params) == (576_048, 26_944)
    assert dense_weights(ARTICLE_DENSE) == 51_380_224


@pytest.mark.parametrize("asked", [ARTICLE, Reduction(7, 3, 11, 3, 6), Reduction(1, 1, 1, 5, 1)])
def test_costs_are_those_of_modules(asked: Reduction) -> None:
    shape = (asked.channels, asked.side, asked.side)
    kernel, padding = asked.kernel, asked.kernel // 2
    naive = analyze(nn.Sequential(nn.Conv2d(asked.channels, asked.maps, kernel, padding=padding)), shape)
    reduced = analyze(
        nn.Sequential(
            nn.Conv2d(asked.channels, asked.reduction, 1),
            nn.Conv2d(asked.reduction, asked.maps, kernel, padding=padding),
        ),
        shape,
    )
    assert (asked.naive.params, asked.naive.macs) == (naive.total_params, naive.macs)
    assert (asked.reduced.params, asked.reduced.macs) == (reduced.total_params, reduced.macs)


def test_naive_blocks_grow_and_reduced_ones_do_not() -> None:
    naive, reduced = stages(analyze("inception-naive")), stages(analyze("googlenet"))
    assert len(naive) == len(reduced) == 9
    assert (naive[0].channels, naive[-1].channels) == (416, 4_944)
    assert (reduced[0].channels, reduced[-1].channels) == (256, 1_024)
    assert reduced[0].cost.params == 163_696
    assert all(
        one.cost.macs > other.cost.macs and one.cost.params > other.cost.params
        for one, other in zip(naive, reduced, strict=True)
    )
    assert stages(analyze("lenet5")) == ()


def test_what_the_last_pooling_reads() -> None:
    assert last_maps(analyze("googlenet")) == ARTICLE_DENSE
    assert last_maps(analyze("small-googlenet-32")) == (512, 4, 4)
    assert last_maps(analyze("torchvision/googlenet")) == ARTICLE_DENSE
    assert last_maps(analyze("lenet5")) is None
