"""Data page: contents and statistics of a data set, and its augmentation in training."""

import streamlit as st

from cnnviz.ui.pages.data.gallery import augmentation, gallery
from cnnviz.ui.pages.data.load import data_bar, load_dataset
from cnnviz.ui.pages.data.overview import (
    balance,
    channels,
    class_means,
    downloads,
    headline,
    load_summary,
    problems,
    provenance,
)
from cnnviz.ui.pages.data.state import current
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Data",
    icon=":material/photo_library:",
    order=5,
    group="Train",
    blurb="The images that a network learns from, class by class, and what training makes of them.",
)

page_state = current()
download_container = data_bar(page_state)
ready = load_dataset(page_state.spec)
data_summary = load_summary(ready) if ready is not None else None
if ready is not None and data_summary is not None:
    headline(page_state, ready)
    problems(ready)
    downloads(download_container, page_state, ready, data_summary)
    gallery_column, balance_column = st.columns([0.68, 0.32], gap="medium")
    with gallery_column:
        gallery(page_state, ready)
    with balance_column:
        balance(page_state, ready, data_summary)
        provenance(page_state, ready)
    augmentation(page_state, ready, data_summary)
    means_column, channels_column = st.columns([0.55, 0.45], gap="medium")
    with means_column:
        class_means(page_state, ready, data_summary)
    with channels_column:
        channels(page_state, data_summary)
