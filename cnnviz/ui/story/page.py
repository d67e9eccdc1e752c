"""The story from top to bottom; nothing of it needs a network, a run database or torch."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.diagnosis import Bars, Evidence, Lines
from cnnviz.diagnosis.recorded import names, recorded
from cnnviz.diagnosis.recorded.card import card
from cnnviz.diagnosis.recorded.fresh import fresh
from cnnviz.diagnosis.recorded.table import arms, table
from cnnviz.figures.article_d import (
    Trail,
    accuracies,
    answers,
    by_layer,
    by_layer_alt,
    losses,
    paired_runs,
    paired_runs_alt,
)
from cnnviz.figures.evidence import alt, bars, lines
from cnnviz.figures.palette import COMPARED
from cnnviz.ui import notice
from cnnviz.ui.components.plot import plot
from cnnviz.ui.story import words
from cnnviz.ui.story.again import again
from cnnviz.ui.story.live import lost, response
from cnnviz.ui.story.table import told

FAILED, MENDED = "article-d-failed", "article-d-mended"
CSS = Path(__file__).with_name("story.css")
HEIGHT = 300
ROOM, HEAD = 30, 130
"""Pixels of an arm in the picture of paired runs, and of all else in it."""


def story() -> None:
    """Draw the story; nothing where the recorded runs do not ship."""
    if not {FAILED, MENDED} <= set(names()):
        return
    failed, mended = recorded(FAILED), recorded(MENDED)
    st.html(CSS)
    with st.container(key="story"):
        st.header("Article D, solved", anchor="story")
        st.markdown(
            "An article trained AlexNet as its paper describes it, on the 5,000 pictures of STL-10, and got "
            "10 %: the same answer for nearly every picture. It never found out why. Here the run is made "
            "again, its inside is measured, and one thing at a time is changed until it learns."
        )
        _saw(failed)
        lost(failed)
        _backwards()
        response()
        _mended(failed, mended)
        _proof()
        again(failed, mended)
        _cards()


def _saw(failed: Evidence) -> None:
    st.subheader("What the article saw", anchor=False)
    st.markdown(notice.plain(words.saw(failed)))
    left, right = st.columns(2, gap="medium")
    with left:
        _picture(losses({"as the article": failed}), "saw-loss")
    with right:
        _picture(answers({"answers": failed}), "saw-answers")


def _backwards() -> None:
    layers = fresh().layers
    st.subheader("And the way back", anchor=False)
    st.markdown(notice.plain(words.backwards(layers["article"], layers["mended"])))
    trails = [
        Trail(label, [one.name for one in layers[key]], [one.gradient for one in layers[key]], colour)
        for (key, label), colour in zip(
            (("article", "as the article"), ("mended", "mended")), COMPARED, strict=False
        )
    ]
    title = "gradient in the first step"
    plot(by_layer(trails, title), key="story-gradient", height=HEIGHT, alt=by_layer_alt(trails, title),
         name="article-d-gradients", picks=False)  # fmt: skip


def _mended(failed: Evidence, mended: Evidence) -> None:
    st.subheader("The mended run beside the failed one", anchor=False)
    st.markdown(notice.plain(words.compared(failed, mended)))
    runs = {"as the article": failed, "mended": mended}
    left, right = st.columns(2, gap="medium")
    with left:
        _picture(losses(runs), "mended-loss")
    with right:
        _picture(accuracies(runs), "mended-accuracy")
    _picture(answers(runs), "mended-answers")


def _proof() -> None:
    found = arms(table())
    st.subheader("The proof: one change at a time", anchor=False)
    st.markdown(notice.plain(words.ANSWER))
    for said in words.proof(found):
        st.markdown(notice.plain(said))
    figure = paired_runs(found, 1 / recorded(FAILED).classes)
    plot(figure, key="story-arms", height=HEAD + ROOM * len(found), alt=paired_runs_alt(found),
         name="article-d-arms", picks=False)  # fmt: skip
    told(found)


def _cards() -> None:
    with st.expander("How the recorded runs were made", key="story-cards"):
        for name in (FAILED, MENDED):
            st.markdown(f"**{notice.plain(recorded(name).title)}.** {notice.plain(words.made(card(name)))}")
            st.code(card(name).command, language="bash", wrap_lines=True)
        st.markdown(notice.plain(words.paired(table())))
        st.markdown(notice.plain(words.measured(fresh())))


def _picture(picture: Lines | Bars, key: str) -> None:
    st.html(f'<p class="story-title">{picture.title}</p>')
    figure = bars(picture) if isinstance(picture, Bars) else lines(picture)
    figure["layout"]["yaxis"]["rangemode"] = "tozero"  # what stands still must not look like a storm
    plot(figure, key=f"story-{key}", height=HEIGHT, alt=alt(picture), name=f"article-d-{key}", picks=False)
