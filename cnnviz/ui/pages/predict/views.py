"""Views of a prediction job: comparison of networks, confusion matrices, predictions by image, details."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.confusion import confusion, confusion_alt
from cnnviz.figures.numbers import MISSING
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.inference.images.read_image import Picture, Refusal
from cnnviz.sentences import percent
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.predict.state import DEFAULT_ORDER, ORDERS, Job, PageState
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.inspection import image_input
from cnnviz.ui.shared.inspection.attribution import (
    CSS,
    DEFAULT_OPACITY,
    AttributionState,
    attribution_result,
    images_html,
    png,
)
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.predictions import prepared
from cnnviz.ui.shared.url_state import change_without_model, unless

if TYPE_CHECKING:
    from cnnviz.inference.evaluate import Evaluation
    from cnnviz.inference.predict import Result


@dataclass(frozen=True)
class JobResults:
    """Results of a job, frozen at the first access."""

    job: Job

    @cached_property
    def count(self) -> int:
        """Number of images predicted or refused."""
        return self.job.done

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """Evaluation of each network, in order."""
        from cnnviz.inference.evaluate import evaluate

        return [
            evaluate(self.results(i), network.loaded.classes) for i, network in enumerate(self.job.networks)
        ]

    @cached_property
    def right(self) -> list[list[bool | None]]:
        """For each network, whether each prediction is correct; None if the true class is unknown."""
        from cnnviz.inference.evaluate import correctness

        return [
            correctness(self.results(i), network.loaded.classes)
            for i, network in enumerate(self.job.networks)
        ]

    @cached_property
    def agree(self) -> list[bool | None]:
        """Whether all networks predict the same class by name; None for refusals and for a single network."""
        return [self._agree(row) for row in range(self.count)]

    @property
    def refused(self) -> int:
        """Number of refused files."""
        return sum(isinstance(result, Refusal) for result in self.results(0))

    @property
    def has_labels(self) -> bool:
        """Whether any image has a known true class."""
        return any(result.truth is not None for result in self.results(0))

    def results(self, network: int) -> list[Result]:
        """Return one network's results."""
        return self.job.results[self.job.networks[network].reference]

    def ordered(self, order: str) -> list[int]:
        """Return the rows in one of `state.ORDERS`."""
        rows = range(self.count)
        if order == "mistakes":
            return sorted(rows, key=lambda row: -self._wrongness(row))
        if order == "disagreement":
            return sorted(rows, key=lambda row: self.agree[row] is not False)
        return sorted(rows, key=self._confidence) if order == "unsure" else list(rows)

    def _agree(self, row: int) -> bool | None:
        from cnnviz.inference.evaluate import plain

        answers = [self.results(i)[row] for i in range(len(self.job.networks))]
        if len(answers) < 2:
            return None
        names = {None if isinstance(answer, Refusal) else plain(answer.top[0].name) for answer in answers}
        return None if None in names else len(names) == 1

    def _wrongness(self, row: int) -> float:
        """Return the largest probability of a wrong prediction; -1 if none is wrong."""
        return max(
            self._share(i, row) if self.right[i][row] is False else -1.0
            for i in range(len(self.job.networks))
        )

    def _confidence(self, row: int) -> float:
        """Return the smallest confidence of all networks; refused files come first."""
        return min(self._share(i, row) for i in range(len(self.job.networks)))

    def _share(self, network: int, row: int) -> float:
        result = self.results(network)[row]
        return -1.0 if isinstance(result, Refusal) else result.top[0].probability


# Confusion matrices, if true classes are known.

HEIGHTS = {1: 480, 2: 460, 3: 380, 4: 330}
MAX_CLASSES = 60
"""Maximum number of classes of a matrix."""


def confusion_matrices(job_results: JobResults) -> None:
    """Draw a confusion matrix for each network with counted images."""
    known = [index for index, evaluation in enumerate(job_results.evaluations) if evaluation.counted]
    if not known:
        return
    term_heading("Confusion matrix")
    st.caption("Rows: true class; columns: predicted. On the diagonal it is right.")
    for column, index in zip(st.columns(len(known)), known, strict=True):
        with column:
            _matrix(job_results, index, len(known))


def _matrix(job_results: JobResults, index: int, count: int) -> None:
    network, evaluation = job_results.job.networks[index], job_results.evaluations[index]
    counts = evaluation.confusion
    used = np.flatnonzero(counts.sum(0) + counts.sum(1))
    if count > 1:
        st.html(f"<b>{escape(network.loaded.name)}</b>")
    if len(used) > MAX_CLASSES:
        st.caption(f"{len(used)} classes are too many for a matrix; the worst mistakes are listed below.")
        return
    classes = [evaluation.classes[class_index] for class_index in used]
    some = counts[np.ix_(used, used)]
    plot(
        confusion(some, classes, COMPARED[index]), key=f"predict-confusion-{index}", height=HEIGHTS[count],
        picks=False,
        alt=f"{network.loaded.name}: {confusion_alt(some, classes)}", name="confusion",
    )  # fmt: skip


# Details of one image: Grad-CAM for each network's prediction.


@st.dialog("Where the answer comes from", width="large")
def details_dialog(job: Job, row: int) -> None:
    """Draw the dialog."""
    file = job.seen[row].file
    if isinstance(file, Refusal):
        return
    data = file.data if isinstance(file.data, bytes) else file.data()
    picture = image_input.decoded(file.name, data)
    if isinstance(picture, Refusal):
        st.error(notice.escape(picture.reason))
        return
    st.html(CSS)
    st.caption(f"{notice.escape(file.name)}: bright is what speaks for the answer, by Grad-CAM.")
    job_results = JobResults(job)
    for index, network in enumerate(job.networks):
        _one(network, picture)
        if len(job.networks) == 1:  # with several networks the row shows all classes
            st.html(f'<div class="said">{_bars(job_results, index, row)}</div>')
    if st.button("Ask further why", icon=":material/arrow_forward:", type="primary"):
        stored = image_input.add(file)
        if not isinstance(stored, Refusal):
            st.switch_page("attribution.py", query_params=_onwards(job, stored.number))


def _one(network: Network, picture: Picture) -> None:
    ready = prepared(picture, network.loaded.preprocessing)
    attribution_state = AttributionState("gradcam", None, None, None, DEFAULT_OPACITY, None, ())
    try:
        explained = attribution_result(network, ready, attribution_state)
    except ValueError as error:
        st.info(notice.escape(str(error)), icon=":material/info:")
        return
    share = percent(explained.attribution.probability, 1)
    st.markdown(
        f"**{notice.escape(network.loaded.name)}** says **{notice.escape(explained.target)}**, {share}"
    )
    st.html(f'<div class="why"><div>{images_html(explained, "gradcam", DEFAULT_OPACITY)}</div></div>')


def _onwards(job: Job, number: int) -> dict[str, str]:
    first, *others = job.networks
    chosen = url_state.carried() | {"weights": first.reference, "picture": f"handed:{number}"}
    return chosen | ({"against": others[0].reference} if others else {})


# Predictions by image.

ORDER = "predict-order"
AT_ONCE = 24
"""Images per page: four to six rows of a grid, or rows with several networks."""
AGREE = {True: "all agree", False: "≠ they differ", None: ""}


def rows(job_results: JobResults, page_state: PageState, draw_downloads: Callable[[], None]) -> None:
    """Draw one page of predictions in the selected order.

    `draw_downloads` draws to the right of the order's choice.
    """
    known = [
        name
        for name in ORDERS
        if (name != "mistakes" or job_results.has_labels)
        and (name != "disagreement" or len(page_state.networks) > 1)
    ]
    order = page_state.order if page_state.order in known else DEFAULT_ORDER
    ordered = job_results.ordered(order)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="predict-order-bar"):
        _choose_order(known, order)
        shown = _paging(page_state.page, ordered)
        draw_downloads()
    _draw_all(job_results, shown, over=True)


def rows_so_far(job_results: JobResults, page: int) -> None:
    """Draw one page of a running job's predictions, in upload order."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        shown = _paging(page, job_results.ordered("file"))
    _draw_all(job_results, shown, over=False)


def _choose_order(known: list[str], order: str) -> None:
    st.session_state[ORDER] = order
    st.selectbox(
        "Order", known, format_func=ORDERS.__getitem__, key=ORDER, width=230, label_visibility="collapsed",
        on_change=_ordered,
    )  # fmt: skip


def _ordered() -> None:
    change_without_model(order=unless(st.session_state[ORDER], DEFAULT_ORDER), page=None)


def _paging(wanted_page: int, ordered: list[int]) -> list[int]:
    """Draw the paging; return the rows of this page."""
    pages = max(1, -(-len(ordered) // AT_ONCE))
    page = min(wanted_page, pages)
    for label, icon, to in (("before", "left", page - 1), ("after", "right", page + 1)) if pages > 1 else ():
        st.button(
            f":material/chevron_{icon}:", key=f"predict-{label}", type="tertiary", help=f"Images {label}",
            disabled=not 1 <= to <= pages, on_click=change_without_model,
            kwargs={"page": unless(str(to), "1")},
        )  # fmt: skip
    of = f", page {page:,} of {pages:,}" if pages > 1 else ""
    st.caption(f"{len(ordered):,} images{of}", width="content")
    return ordered[(page - 1) * AT_ONCE : page * AT_ONCE]


def _draw_all(job_results: JobResults, shown: Sequence[int], *, over: bool) -> None:
    """Draw images as a grid of tiles; with several networks, as rows with all predictions."""
    if len(job_results.job.networks) > 1:
        for row in shown:
            _draw_row(job_results, row, over=over)
        return
    with st.container(key="predict-grid"):
        for row in shown:
            with st.container(key=f"predict-tile-{row}"):
                st.html(_picture(job_results, row, _answer(job_results, row)))
                _details_button(job_results, row, over=over)


def _draw_row(job_results: JobResults, row: int, *, over: bool) -> None:
    with st.container(key=f"predict-row-{row}"):
        left, right = st.columns([0.27, 0.73], gap="medium")
        with left:
            st.html(_picture(job_results, row))
            _details_button(job_results, row, over=over)
        with right:
            cells = "".join(_bars(job_results, index, row) for index in range(len(job_results.job.networks)))
            st.html(f'<div class="said">{cells}</div>')


def _details_button(job_results: JobResults, row: int, *, over: bool) -> None:
    """Draw the button for details; before the job is `over` the dialog would not stay open."""
    if not over or isinstance(job_results.results(0)[row], Refusal):
        return
    alone = len(job_results.job.networks) == 1
    # With one network the button covers its tile invisibly, so that the tile is clickable.
    label = f"Details of {notice.escape(job_results.job.seen[row].file.name)}" if alone else "Where they look"
    icon = None if alone else ":material/center_focus_strong:"
    if st.button(label, key=f"predict-why-{row}", type="tertiary", icon=icon):
        details_dialog(job_results.job, row)


def _picture(job_results: JobResults, row: int, prediction: str = "") -> str:
    seen = job_results.job.seen[row]
    name = escape(seen.file.name)
    image = ""
    if seen.thumb is not None:
        source = base64.b64encode(png(seen.thumb)).decode()
        image = f'<img src="data:image/png;base64,{source}" alt="{name}">'
    truth = (
        f'<p class="truth">true class: <b title="{escape(seen.file.truth)}">{escape(seen.file.truth)}</b></p>'
        if seen.file.truth is not None
        else ""
    )
    agree = job_results.agree[row]
    mark = f'<p class="{"" if agree else "differ"}">{AGREE[agree]}</p>' if agree is not None else ""
    return f'<div class="shown">{image}<div>{prediction}<b title="{name}">{name}</b>{truth}{mark}</div></div>'


MARKS = {True: " ✓", False: " ✗", None: ""}


def _answer(job_results: JobResults, row: int) -> str:
    """Return the top class of the single network, with its probability."""
    result = job_results.results(0)[row]
    if isinstance(result, Refusal):
        return f'<p class="refused">{escape(result.reason)}</p>'
    best = result.top[0]
    name, mark = escape(best.name), MARKS[job_results.right[0][row]]
    return (
        f'<p class="best"><strong title="{name}">{name}{mark}</strong>'
        f"<em>{numbers.percent(best.probability, 1)}</em></p>"
        f'<i><b style="width:{100 * best.probability:.1f}%;background:{COMPARED[0].css}"></b></i>'
    )


def _bars(job_results: JobResults, index: int, row: int) -> str:
    """Return a network's top classes as bars, with its name if there are several networks."""
    result, network = job_results.results(index)[row], job_results.job.networks[index]
    named = f"<h3>{escape(network.loaded.name)}</h3>" if len(job_results.job.networks) > 1 else ""
    if isinstance(result, Refusal):
        return f"<div>{named}<p>{escape(result.reason)}</p></div>"
    mark = MARKS[job_results.right[index][row]]
    hue = COMPARED[index].css
    bars = "".join(
        f'<span title="{escape(answer.name)}">{escape(answer.name)}{mark if first == 0 else ""}</span>'
        f'<i><b style="width:{100 * answer.probability:.1f}%;background:{hue}"></b></i>'
        f"<em>{numbers.percent(answer.probability, 1)}</em>"
        for first, answer in enumerate(result.top)
    )
    words = ", ".join(f"{answer.name} {numbers.percent(answer.probability, 1)}" for answer in result.top)
    label = escape(f"{network.loaded.name} says {words}")
    return f'<div>{named}<div class="bars" role="img" aria-label="{label}">{bars}</div></div>'


# Comparison of networks: accuracy, speed, memory.

HEADINGS = {
    "right": "Of the images whose true class is known, how many were answered with it.",
    "throughput": "Images predicted a second in this batch, decoding left out.",
    "latency (batch 1)": "Time for one image by itself, on this machine, as busy as it is.",
    "parameters": "Weights that were learned.",
    "weights": "Memory of parameters and buffers.",
    "activation memory": "The most memory that one image's values take at once, beside the weights.",
}


def summary(job_results: JobResults) -> None:
    """Draw one line per network, and how often they agree."""
    known = [name for name in HEADINGS if job_results.has_labels or name != "right"]
    head = "".join(f'<th title="{escape(HEADINGS[name])}">{name}</th>' for name in known)
    rows = "".join(_row(job_results, index, known) for index in range(len(job_results.job.networks)))
    region = '<div class="wide" tabindex="0" role="region" aria-label="Accuracy and cost of each network">'
    st.html(f'{region}<table class="costs"><tr><td></td>{head}</tr>{rows}</table></div>')
    agreed = [agreement for agreement in job_results.agree if agreement is not None]
    if agreed:
        same = numbers.percent(sum(agreed) / len(agreed), 1)
        st.caption(f"They agree on {sum(agreed):,} of {len(agreed):,} images ({same}).")
    for evaluation, network in zip(job_results.evaluations, job_results.job.networks, strict=True):
        _unknown_classes(evaluation.unknown, network)


def _row(job_results: JobResults, index: int, known: list[str]) -> str:
    network = job_results.job.networks[index]
    facts = _facts(job_results, index)
    hue = f'<i style="background:{COMPARED[index].css}"></i>'
    cells = "".join(f'<td data-label="{escape(name)}">{facts[name]}</td>' for name in known)
    return f"<tr><th>{hue}{escape(network.loaded.name)}</th>{cells}</tr>"


def _facts(job_results: JobResults, index: int) -> dict[str, str]:
    job, network, evaluation = (
        job_results.job,
        job_results.job.networks[index],
        job_results.evaluations[index],
    )
    cost = job.costs.get(network.reference)
    spent = job.seconds[network.reference]
    accuracy = evaluation.accuracy
    return {
        "right": MISSING
        if accuracy is None
        else f"{numbers.percent(accuracy, 1)} <small>{evaluation.right:,} of {evaluation.counted:,}</small>",
        "throughput": f"{numbers.significant(job_results.count / spent)} images/s"
        if spent and job_results.count
        else MISSING,
        "latency (batch 1)": MISSING if cost is None else f"{numbers.significant(1e3 * cost.seconds)} ms",
        "parameters": numbers.short(sum(p.numel() for p in network.loaded.model.parameters())),
        "weights": MISSING if cost is None else numbers.mib(cost.weight_bytes),
        "activation memory": MISSING if cost is None else numbers.mib(cost.working_bytes),
    }


def _unknown_classes(unknown: tuple[str, ...], network: Network) -> None:
    if not unknown:
        return
    from cnnviz.ui.shared import notice

    some = ", ".join(unknown[:8]) + (" …" if len(unknown) > 8 else "")
    words = f"{network.loaded.name} has no class called {some}; images of those are not counted for it."
    st.caption(notice.escape(words))
