"""Entry point of the app: `streamlit run app.py`, or `make app`."""

import contextlib
from collections.abc import AsyncIterator

import streamlit as st

from cnnviz.ui.components import plot
from cnnviz.ui.shared import startup, visitors


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Announce the app and supervise runs while the app is up, independent of visitors."""
    with startup.announced(), startup.class_tended(), startup.supervised(startup.start()):
        yield


app = st.App(
    "pages/navigation.py",
    lifespan=lifespan,
    routes=[plot.ROUTE, startup.SHOW_ROUTE],
    middleware=visitors.middleware(),
)
