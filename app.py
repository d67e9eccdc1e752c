"""The app: `streamlit run app.py`, or `make app`."""

import contextlib
import importlib
import logging
import threading
from collections.abc import AsyncIterator

import streamlit as st

# In this order: the first page needs the light ones, and none needs torch to be painted.
PRELOADED = ("pandas", "plotly.graph_objects", "torch", "torchvision")


def preload() -> None:
    """Import what is slow to import, so that no page has to wait for it."""
    for module in PRELOADED:
        try:
            importlib.import_module(module)
        except Exception:  # what is broken is said by the page that needs it; the others work
            logging.getLogger(__name__).warning("Could not preload %s", module, exc_info=True)


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Run what belongs to the app and not to a visitor."""
    threading.Thread(target=preload, name="preload", daemon=True).start()
    yield


app = st.App("pages/navigation.py", lifespan=lifespan)
