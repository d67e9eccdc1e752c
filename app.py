"""Entry point of the app: `streamlit run app.py`, or `make app`."""

import contextlib
from collections.abc import AsyncIterator

import streamlit as st

from cnnviz.ui.components import plot
from cnnviz.ui.shared import memory, startup, visitors


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Announce the app, supervise runs and return freed memory while the app is up, whoever visits."""
    with (
        startup.announced(),
        startup.class_tended(),
        startup.supervised(startup.start()),
        memory.trim_when_idle(),
    ):
        yield


app = st.App(
    "pages/navigation.py",
    lifespan=lifespan,
    routes=[plot.ROUTE, startup.SHOW_ROUTE],
    middleware=visitors.middleware(),
)
