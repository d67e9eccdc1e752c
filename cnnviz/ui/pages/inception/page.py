"""Inception page: branches of a block, class selectivity, 1×1 bottleneck, auxiliary classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz import models
from cnnviz.datasets import Progress
from cnnviz.figures import numbers
from cnnviz.figures.curves import Line, Panel, auxiliary_lines, curves, curves_alt
from cnnviz.figures.inception import Table, branch_classes, preferred_classes
from cnnviz.figures.plotly_theme import COMPARED, Color
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.inception import state
from cnnviz.ui.pages.inception.branches import Bar, bars, branches
from cnnviz.ui.pages.inception.reduction import reduction
from cnnviz.ui.pages.inception.state import PageState, choose_block, short
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.inspection import dataset_pass
from cnnviz.ui.shared.inspection.dataset_pass import key_of
from cnnviz.ui.shared.inspection.inspect_header import (
    blocks_of,
    choose_image,
    inside_bar,
    next_links,
    reserve_height,
    stepper,
)
from cnnviz.ui.shared.inspection.model_input import Network, network
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage, top
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset
    from cnnviz.figures.curves import Floats
    from cnnviz.interpret.branches import Block, ClassifierOutput
    from cnnviz.tracking import Run

# The bar on top: network, block; share.


def inception_bar(network: Network, blocks: tuple[Block, ...], page_state: PageState) -> None:
    """Draw the bar."""
    named = {block.name: f"Block {short(block.name)} · {_shape(network, block)}" for block in blocks}
    with inside_bar(network):
        if page_state.block is not None:
            stepper(
                "Block", named, page_state.block.name, key="inception-block", width=240, choose=choose_block
            )


def _shape(network: Network, block: Block) -> str:
    return numbers.shape(network.analysis.row(block.name).output_shape)


# Losses of the auxiliary classifiers during training, beside the total loss.

RUN = "run:"
SMOOTHING, HEIGHT = 0.02, 320


def learning(network: Network) -> None:
    """Draw the curves of the network's run; without any, say why and link to training."""
    run = _run(network.reference)
    heads = [] if run is None else auxiliary_lines(lambda metric: _points(run, metric))
    if run is None or not heads:
        _missing(network, run)
        return
    trained = _points(run, "train/loss")
    whole = [] if trained is None else [Line("the loss that is trained", *trained, "train", COMPARED[0])]
    panel = Panel("loss", [*whole, *heads])
    term_heading("How they learned", "Auxiliary classifier")
    st.caption(
        "The loss that is trained is the network's own and a share of each classifier's. Look whether "
        "the first classifier, which has fewer layers to work with, stays behind the second."
    )
    plot(
        curves([panel], x_title="epoch", smoothing=SMOOTHING), key="inception-learning", height=HEIGHT,
        alt=curves_alt([panel], "epoch"), name=f"run-{run.id}-auxiliary-losses", picks=False,
    )  # fmt: skip


def _missing(network: Network, run: Run | None) -> None:
    if run is None:
        st.caption("Runs record the loss of each classifier; these weights are of no run, so there is none.")
    else:
        st.caption("This run was trained before runs recorded the loss of each classifier, so there is none.")
    layout.link(
        "train", "Train it and see", icon=":material/play_arrow:", model=network.loaded.spec.name, run=None,
        weights=None,
    )  # fmt: skip


def _run(reference: str) -> Run | None:
    from cnnviz import tracking

    if not reference.startswith(RUN):
        return None
    return tracking.get_run(run_data.database(), int(reference.removeprefix(RUN).partition("/")[0]))


def _points(run: Run, metric: str) -> tuple[Floats, Floats] | None:
    curve = run_data.curve(run, metric).curve
    return (curve.epochs, curve.values) if len(curve) else None


# Predictions of the auxiliary classifiers.

WITH_HEADS = "small-googlenet-32-aux"
FINAL, *HUES = COMPARED


def auxiliary(network: Network, ready: PreprocessedImage) -> None:
    """Draw their predictions beside the network's own; if there are none, link to a network that has some."""
    with st.spinner(f"The image goes through {network.loaded.name} …"):
        answers = _answers(network.stamp, ready.digest, network, ready)
    if len(answers) == 1:
        st.info("This network has no auxiliary classifiers.", icon=":material/info:")
        layout.link(
            "inception", "SmallGoogLeNet with auxiliary classifiers", icon=":material/alt_route:",
            model=WITH_HEADS, weights=None, run=None, layer=None, view="auxiliary",
        )  # fmt: skip
        return
    st.caption(
        "Each reads the maps of a block half-way and is trained to give the whole answer, so that early "
        "layers hear of the error at first hand; a prediction leaves them out. Look how sure each is already."
    )
    for column, output, hue in zip(st.columns(len(answers), gap="large"), answers, HUES, strict=False):
        with column:
            _classifier_output(network, ready, output, FINAL if not output.name else hue)
    learning(network)


def _classifier_output(
    network: Network, ready: PreprocessedImage, output: ClassifierOutput, hue: Color
) -> None:
    number = output.name.removeprefix("aux")
    title = f"Auxiliary {number}, after block {short(output.after)}" if output.name else "The network itself"
    st.markdown(f"**{title}**")
    best = top(network, output.probabilities[0])
    rows = [
        Bar(prediction.name, prediction.probability, numbers.percent(prediction.probability, 1), hue)
        for prediction in best
    ]
    st.html(bars(rows, f"{title}: " + ", ".join(f"{row.title} {row.text}" for row in rows)))
    if ready.truth is not None:
        right = best[0].name == ready.truth
        st.caption("Right." if right else "Wrong.")


@RESULTS.cached()
def _answers(
    stamp: str, digest: str, _network: Network, _ready: PreprocessedImage
) -> tuple[ClassifierOutput, ...]:
    from cnnviz.interpret.branches import classifier_outputs

    return classifier_outputs(_network.loaded.model, _ready.tensor)


# Class selectivity of branches: mean activation by class over the test images.

KIND = "branches"
Result = tuple[Table, int, bool]
"""Activity `(blocks, 4, classes)`, number of images, and whether it was computed in this script run."""


def classes(network: Network, blocks: tuple[Block, ...], block: Block) -> None:
    """Draw class selectivity for one block; it is computed for all blocks at once."""
    result = dataset_pass.result_or_offer(
        network,
        "Which branch carries which class",
        "inception-classes",
        (dataset_pass.SOME, dataset_pass.ALL),
        lambda data, count: _cached(network, data, count),
        lambda data, count, progress: _compute(network, data, blocks, count, progress),
    )
    if result is not None:
        data, (table, count, just_now) = result
        if just_now:
            st.rerun()  # removes the buttons that started it
        _draw(network, data, table[[entry.name for entry in blocks].index(block.name)], count, block)


def _draw(network: Network, data: Dataset, table: Table, count: int, block: Block) -> None:
    titles = [branch.title for branch in block.branches]
    st.caption(
        f"How much louder each branch of block {short(block.name)} is for a class than on its own average, "
        f"over {count:,} test images. Bars that rise together are a class that is loud "
        "everywhere; one that rises alone is a branch that carries the class."
    )
    words = "; ".join(
        f"{title} is loudest for “{data.classes[index]}” (+{numbers.percent(deviation, 1)})"
        for title, (index, deviation) in zip(titles, preferred_classes(table), strict=True)
    )
    plot(
        branch_classes(table, titles, data.classes), key="inception-by-class", height=400, picks=False,
        alt=f"Activity by class: {words}.",
        name=f"{network.loaded.spec.name.replace('/', '-')}-{short(block.name)}-classes",
    )  # fmt: skip
    st.caption(notice.escape(f"{words}."))


def _key(network: Network, data: Dataset, count: int) -> str:
    return key_of(network, data, "", count, KIND)


def _cached(network: Network, data: Dataset, count: int) -> Result | None:
    from cnnviz.interpret import cache

    cached = cache.load(KIND, _key(network, data, count))
    return None if cached is None else (cached["table"], len(dataset_pass.sample_rows(data, count)), False)


def _compute(
    network: Network, data: Dataset, blocks: tuple[Block, ...], count: int, progress: Progress
) -> Result:
    from cnnviz.interpret import cache
    from cnnviz.interpret.branches import activity_by_class

    rows = dataset_pass.sample_rows(data, count)
    batches = dataset_pass.iter_batches(network, data, rows)
    table = activity_by_class(network.loaded.model, blocks, batches, len(data.classes), len(rows), progress)
    cache.save(KIND, _key(network, data, count), {"table": np.asarray(table)})
    return table, len(rows), True


CSS = Path(__file__).with_name("inception.css")
PAGE_HEIGHT = 900
"""Pixels reserved while the first network is loaded."""
DRAWN, VIEW = "inception-drawn", "inception-view"


def inception() -> None:
    """Draw the page for its URL."""
    st.html(CSS)
    with reserve_height(DRAWN, PAGE_HEIGHT):
        current = network(state.PREFERRED)
        blocks = blocks_of(current)
    page_state = state.current(current, blocks)
    inception_bar(current, blocks, page_state)
    if page_state.block is None:
        notice.show([*url_state.current().problems, *current.problems, *page_state.problems])
        _no_blocks(current)
        reduction(current, page_state.reduction, None)
        return
    ready = choose_image(current, page_state.problems).ready
    _choose_view(page_state.view)
    _view(current, ready, blocks, page_state.block, page_state)
    next_links(current, "inception", page_state.block.name)


def _choose_view(view: str) -> None:
    st.session_state[VIEW] = view
    st.segmented_control(
        "View",
        list(state.VIEWS),
        format_func=state.VIEWS.__getitem__,
        key=VIEW,
        on_change=lambda: change_without_model(
            view=None if st.session_state[VIEW] == "branches" else st.session_state[VIEW]
        ),
        required=True,
        label_visibility="collapsed",
    )


def _view(
    current: Network,
    ready: PreprocessedImage,
    blocks: tuple[Block, ...],
    block: Block,
    page_state: state.PageState,
) -> None:
    if page_state.view == "branches":
        branches(current, ready, block, page_state)
    elif page_state.view == "classes":
        classes(current, blocks, block)
    elif page_state.view == "reduction":
        reduction(current, page_state.reduction, block)
    else:
        auxiliary(current, ready)


def _no_blocks(current: Network) -> None:
    first = models.get(state.PREFERRED[0])
    st.info(
        f"{notice.escape(current.loaded.name)} has no inception blocks; "
        "what they are made of is shown below.",
        icon=":material/info:",
    )
    layout.link(
        "inception", f"Look into {first.title}, which has nine", icon=":material/call_split:",
        model=first.name, weights=None, run=None, layer=None,
    )  # fmt: skip
