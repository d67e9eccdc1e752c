"""The app: `streamlit run app.py`, or `make app`."""

import contextlib
from collections.abc import AsyncIterator

import streamlit as st

from cnnviz.ui import plotly_script, preload, supervision


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Run what belongs to the app and not to a visitor."""
    with supervision.supervised(preload.start()):
        yield


app = st.App("pages/navigation.py", lifespan=lifespan, routes=[plotly_script.ROUTE])
