"""Data: what is in a data set, and what training makes of its pictures."""

import streamlit as st

from cnnviz.ui.dataset.augmentation import augmentation
from cnnviz.ui.dataset.bar import data_bar
from cnnviz.ui.dataset.gallery import gallery
from cnnviz.ui.dataset.opening import opened
from cnnviz.ui.dataset.overview import (
    averages,
    balance,
    channels,
    downloads,
    headline,
    problems,
    provenance,
    summarised,
)
from cnnviz.ui.dataset.state import current
from cnnviz.ui.pages import Page

PAGE = Page(
    title="Data",
    icon=":material/photo_library:",
    order=4,
    blurb="The pictures that a network learns from, class by class, and what training makes of them.",
)

asked = current()
place = data_bar(asked)
ready = opened(asked.spec)
found = summarised(ready) if ready is not None else None
if ready is not None and found is not None:
    headline(asked, ready)
    problems(ready)
    downloads(place, asked, ready, found)
    seen, counted = st.columns([0.68, 0.32], gap="medium")
    with seen:
        gallery(asked, ready)
    with counted:
        balance(asked, ready, found)
        provenance(asked, ready)
    augmentation(asked, ready, found)
    means, values = st.columns([0.55, 0.45], gap="medium")
    with means:
        averages(asked, ready, found)
    with values:
        channels(asked, found)
