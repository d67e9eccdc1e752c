"""A run database that is damaged is one sentence on every page that reads runs, and no exception on any."""

from __future__ import annotations

import pytest
import streamlit as st

from cnnviz import tracking
from cnnviz.paths import home
from cnnviz.ui.shared.layout import find_pages
from tests.pages.runner import PAGES, open_page

READ_RUNS = ("train", "runs", "diagnose", "experiments")


@pytest.mark.parametrize("name", find_pages(PAGES))
@pytest.mark.parametrize("earlier", [False, True], ids=["before the app", "under the app"])
def test_a_damaged_database_is_a_sentence_on_every_page(name: str, earlier: bool) -> None:
    st.cache_resource.clear()
    tracking.connect().close()
    if earlier:
        open_page(name)
    path = home() / "runs.sqlite"
    with path.open("r+b") as file:
        file.write(b"overwritten " * (path.stat().st_size // 12))
    app = open_page(name)
    values = [each.value for each in (*app.error, *app.warning, *app.info) if "is damaged" in each.value]
    assert len(values) <= 1
    assert values or name not in READ_RUNS
    assert all("runs recover" in sentence for sentence in values)
