"""Overview of a data set: headline, problems, class balance, class means, channel statistics, downloads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from html import escape

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.datasets import DataError, Dataset
from cnnviz.datasets.summary import Summary, class_counts, summary
from cnnviz.figures.distributions import channel_histogram, channel_names, histogram_words
from cnnviz.formats import csv_text
from cnnviz.ui.components.images import MAX_CLASSES, Cell, Line, Sprite, class_bars, pictures, sprite
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.data import state
from cnnviz.ui.pages.data.state import PageState
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.result_cache import RESULTS

MEANS = 100
"""Maximum number of classes whose mean image is drawn."""
ALL = "all"


def headline(page_state: PageState, ready: Dataset) -> None:
    """Draw the summary and the headline figures."""
    st.html(f'<p class="about">{escape(page_state.spec.summary)}</p>')
    figures = "".join(
        f'<div class="figure" title="{escape(exact)}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name, exact in state.headline_figures(page_state.spec, ready)
    )
    st.html(f'<div class="headline"><div class="figures">{figures}</div></div>')


def load_summary(ready: Dataset) -> Summary | None:
    """Return the summary, computed with progress the first time; None if that failed, with an error drawn."""
    bar = notice.Progress()
    try:
        return summary(ready, bar)
    except (DataError, OSError) as error:
        st.error(notice.error_text(error))
        return None
    finally:
        bar.clear()


def problems(ready: Dataset) -> None:
    """Draw problems of the data set that matter before training, and the checks that passed."""
    from cnnviz.diagnosis.engine import data_report

    bar = notice.Progress()
    try:
        report = data_report(ready, bar)
    except (DataError, OSError) as error:
        st.error(notice.error_text(error))
        return
    finally:
        bar.clear()
    for problem in report.problems:
        st.warning(notice.escape(problem.verdict), icon=":material/warning:")
        with st.expander("How that is seen, and what to do"):
            st.markdown(notice.escape(problem.explanation))
    _checked(report.clear, report.unknown, others=bool(report.problems))


def _checked(clear: Sequence[str], unknown: Sequence[str], others: bool) -> None:
    """Draw the passed and the impossible checks in an expander."""
    if not clear and not unknown:
        return
    count = f"{len(clear)} {'other ' * others}check{'' if len(clear) == 1 else 's'}"
    open_ = f"; {len(unknown)} could not be made" if unknown else ""
    with st.expander(f"Looked at before training: {count} found nothing{open_}"):
        st.markdown("\n".join(f"- {notice.escape(text)}" for text in (*clear, *unknown)))


def balance(page_state: PageState, ready: Dataset, data_summary: Summary) -> None:
    """Draw the class frequencies, and describe their balance and the validation split."""
    term_heading("Classes", "Class imbalance")
    counts, held_out = _counts(page_state, ready, data_summary)
    class_bars(ready.classes, counts, key="class-bars", chosen=page_state.label, on_choose=state.choose_class)
    if len(ready.classes) > MAX_CLASSES:
        st.caption(f"The first {MAX_CLASSES:,} of {len(ready.classes):,} classes; the download has all.")
    st.caption(f"{notice.escape(state.balance(data_summary, ready.classes))} {held_out}")


def _counts(page_state: PageState, ready: Dataset, data_summary: Summary) -> tuple[dict[str, list[int]], str]:
    """Return the images by class of each part, and a sentence on the validation split."""
    recipe, classes = page_state.recipe, len(ready.classes)
    test = data_summary.test_counts.tolist()
    try:
        held = _held_out(ready.fingerprint, recipe.validation, recipe.seed, classes, ready)
    except DataError as error:
        return {"training": data_summary.train_counts.tolist(), "test": test}, notice.escape(str(error))
    if not sum(held):
        return {
            "training": data_summary.train_counts.tolist(),
            "test": test,
        }, "Nothing is held out for validation."
    training = [int(count) - out for count, out in zip(data_summary.train_counts, held, strict=True)]
    return (
        {"training": training, "validation": held, "test": test},
        f"For validation, {100 * recipe.validation:g} % of the training part are held out, class by class "
        f"(seed {recipe.seed}).",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _held_out(fingerprint: str, fraction: float, seed: int, classes: int, _ready: Dataset) -> list[int]:
    rows = _ready.split(fraction, seed).validation
    return [int(count) for count in class_counts(_ready.train.labels[rows], classes)]


def provenance(page_state: PageState, ready: Dataset) -> None:
    """Draw the provenance."""
    st.html(state.facts_html(state.provenance(page_state.spec, ready)))


def class_means(page_state: PageState, ready: Dataset, data_summary: Summary) -> None:
    """Draw the mean image of all classes and of each class."""
    st.header("Class means", anchor=False)
    shown = min(len(data_summary.class_means), MEANS)
    cells = [Cell("all classes", ALL), *(Cell(name, name) for name in ready.classes[:shown])]
    pictures(
        _mean_sheet(ready.fingerprint, data_summary.seen, shown, data_summary),
        [Line("", cells)],
        key="averages",
        alt="The mean image of all training images, and of each class",
        name=f"{page_state.spec.name.replace('/', '-')}-means",
        cell=72,
        chosen=page_state.label or ALL,
        captions=True,
        on_choose=lambda name: state.choose_class("" if name == ALL else name),
    )
    some = f" The first {MEANS} classes." if len(data_summary.class_means) > MEANS else ""
    none = (
        "" if len(data_summary.class_means) else " So many classes of so large images have none of their own."
    )
    sampled = f" From a sample of {data_summary.seen:,} images." if data_summary.sampled else ""
    st.caption(
        "Every pixel averaged. Where a class shows a clear figure, its images are alike in place and pose; "
        f"where it is a blur, only features that may lie anywhere can tell it.{some}{none}{sampled}"
    )


@RESULTS.cached()
def _mean_sheet(fingerprint: str, seen: int, classes: int, _found: Summary) -> Sprite:
    means = np.concatenate([_found.mean_image[None], _found.class_means[:classes]])
    return sprite((means * 255).round().astype(np.uint8))


def channels(page_state: PageState, data_summary: Summary) -> None:
    """Draw the pixel histogram by channel, with mean and standard deviation."""
    term_heading("Channels", "Standardization")
    plot(
        channel_histogram(data_summary.histogram),
        key="channels",
        height=300,
        alt=histogram_words(data_summary.histogram),
        name=f"{page_state.spec.name.replace('/', '-')}-channels",
        picks=False,
    )
    mean, std = data_summary.channels
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td>{m:.4f}</td><td>{s:.4f}</td></tr>'
        for name, m, s in zip(channel_names(len(mean)), mean, std, strict=True)
    )
    st.html(
        '<table class="statistics"><thead><tr><td></td><th scope="col">mean</th>'
        f'<th scope="col">standard deviation</th></tr></thead><tbody>{lines}</tbody></table>'
    )
    of = f"a sample of {data_summary.seen:,}" if data_summary.sampled else f"all {data_summary.seen:,}"
    st.caption(
        f"Of {of} training images, values from 0 to 1. Standardizing subtracts the mean and divides by the "
        "standard deviation, so that every channel comes to the first layer around 0."
    )


def downloads(
    container: DeltaGenerator, page_state: PageState, ready: Dataset, data_summary: Summary
) -> None:
    """Draw the downloads in the container that the bar reserves for them."""
    stem = page_state.spec.name.replace("/", "-")
    with container, st.popover("Download", icon=":material/download:", type="tertiary"):
        st.caption("Counts of classes, and all statistics.")
        for label, suffix, mime, write in (
            ("Classes (CSV)", "csv", "text/csv", to_csv),
            ("Statistics (JSON)", "json", "application/json", to_json),
        ):
            st.download_button(
                label, partial(write, ready, data_summary), f"{stem}.{suffix}", mime, key=f"data-{suffix}",
                on_click="ignore", type="tertiary",
            )  # fmt: skip


def to_csv(ready: Dataset, data_summary: Summary) -> str:
    """Return the images per class as CSV."""
    counts = zip(
        ready.classes, data_summary.train_counts.tolist(), data_summary.test_counts.tolist(), strict=True
    )
    return csv_text(("class", "train", "test"), counts)


def to_json(ready: Dataset, data_summary: Summary) -> str:
    """Return all facts and statistics of the data set as JSON."""
    mean, std = data_summary.channels
    document = {
        "name": ready.name,
        "title": ready.title,
        "shape": ready.shape,
        "classes": ready.classes,
        "train": data_summary.train_counts.tolist(),
        "test": data_summary.test_counts.tolist(),
        "fingerprint": ready.fingerprint,
        "notes": ready.notes,
        "images_seen": data_summary.seen,
        "mean": mean.tolist(),
        "std": std.tolist(),
        "covariance": data_summary.covariance.tolist(),
        "histogram": data_summary.histogram.tolist(),
        "mean_image": data_summary.mean_image.tolist(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
