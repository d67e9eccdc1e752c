"""Which branch carries which class: mean activity by class over the test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.datasets import Progress
from cnnviz.figures import numbers
from cnnviz.figures.branch_classes import Table, branch_classes, favourites
from cnnviz.ui import notice
from cnnviz.ui.components.plot import plot
from cnnviz.ui.features import through
from cnnviz.ui.features.through import key_of
from cnnviz.ui.inception.state import short
from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.interpret.branches import Block

KIND = "branches"
Result = tuple[Table, int, bool]
"""Activity `(blocks, 4, classes)`, over how many images, and whether it was worked out in this very run."""


def classes(network: Network, found: tuple[Block, ...], block: Block) -> None:
    """Draw it for one block; what is worked out holds for all of them."""
    result = through.offered(
        network,
        "Which branch carries which class",
        "inception-classes",
        (through.SOME, through.ALL),
        lambda data, count: _known(network, data, count),
        lambda data, count, progress: _work_out(network, data, found, count, progress),
    )
    if result is not None:
        data, (table, count, just_now) = result
        if just_now:
            st.rerun()  # without the question that was answered
        _draw(network, data, table[[one.name for one in found].index(block.name)], count, block)


def _draw(network: Network, data: Dataset, table: Table, count: int, block: Block) -> None:
    titles = [branch.title for branch in block.branches]
    st.caption(
        f"How much louder each branch of block {short(block.name)} is for a class than on its own average, "
        f"over {count:,} test images. Bars that rise together are a class that is loud "
        "everywhere; one that rises alone is a branch that carries the class."
    )
    words = "; ".join(
        f"{title} is loudest for “{data.classes[place]}” (+{numbers.percent(much, 1)})"
        for title, (place, much) in zip(titles, favourites(table), strict=True)
    )
    plot(
        branch_classes(table, titles, data.classes), key="inception-by-class", height=400, picks=False,
        alt=f"Activity by class: {words}.",
        name=f"{network.loaded.spec.name.replace('/', '-')}-{short(block.name)}-classes",
    )  # fmt: skip
    st.caption(notice.plain(f"{words}."))


def _key(network: Network, data: Dataset, count: int) -> str:
    return key_of(network, data, "", count, KIND)


def _known(network: Network, data: Dataset, count: int) -> Result | None:
    from cnnviz.interpret import storage

    kept = storage.load(KIND, _key(network, data, count))
    return None if kept is None else (kept["table"], len(through.some_rows(data, count)), False)


def _work_out(
    network: Network, data: Dataset, found: tuple[Block, ...], count: int, progress: Progress
) -> Result:
    from cnnviz.interpret import storage
    from cnnviz.interpret.branches import activity_by_class

    rows = through.some_rows(data, count)
    batches = through.images_of(network, data, rows)
    table = activity_by_class(network.loaded.model, found, batches, len(data.classes), len(rows), progress)
    storage.save(KIND, _key(network, data, count), {"table": np.asarray(table)})
    return table, len(rows), True
