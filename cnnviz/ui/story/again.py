"""From reading to doing: the failing recipe, the mended one, the experiment, each a click away."""

from __future__ import annotations

import streamlit as st

from cnnviz.diagnosis import Evidence
from cnnviz.training import get
from cnnviz.training.recipe import Recipe
from cnnviz.ui import chrome
from cnnviz.ui.train.plan import NOT_CHOSEN, text_of
from cnnviz.ui.url_state import SET

RECIPE, EXPERIMENT = "article-alexnet-stl10", "article-d"


def again(failed: Evidence, mended: Evidence) -> None:
    """Draw the links."""
    st.subheader("Try it yourself", anchor=False)
    st.markdown(
        "Both runs are recipes. Open one on Train, change what you like, and see whether you can do better; "
        "the experiment repeats the proof on handwritten digits, which needs no download."
    )
    with st.container(horizontal=True, gap="medium", key="story-links"):
        chrome.link(
            "train",
            "The failing recipe",
            icon=":material/sentiment_dissatisfied:",
            **parameters(failed.recipe),
        )
        chrome.link("train", "The mended recipe", icon=":material/play_arrow:", **parameters(mended.recipe))
        chrome.link("experiments", "The experiment", icon=":material/science:", experiment=EXPERIMENT)


def parameters(recipe: Recipe) -> dict[str, str | None]:
    """The URL under which Train opens a recipe, as changes of the article's."""
    base = get(RECIPE)
    changed = {
        f"{SET}{field}": text_of(ours)
        for field, (_, ours) in base.difference(recipe).items()
        if field not in NOT_CHOSEN
    }
    elsewhere: dict[str, str | None] = dict.fromkeys(("run", "model", "size", "list", "parent", "recorded"))
    return elsewhere | changed | {"recipe": RECIPE, "dataset": recipe.dataset}
