"""Data page: contents and statistics of a data set, and its augmentation in training."""

import streamlit as st

from cnnviz.ui.pages.data.augmentation import augmentation
from cnnviz.ui.pages.data.gallery import gallery
from cnnviz.ui.pages.data.load import data_bar, opened
from cnnviz.ui.pages.data.overview import (
    averages,
    balance,
    channels,
    downloads,
    headline,
    problems,
    provenance,
    summarised,
)
from cnnviz.ui.pages.data.state import current
from cnnviz.ui.shared.page_registry import Page

PAGE = Page(
    title="Data",
    icon=":material/photo_library:",
    order=5,
    group="Train",
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
