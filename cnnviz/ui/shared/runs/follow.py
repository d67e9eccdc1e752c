"""Redirect of a page with a ticking fragment: a link that the browser follows as soon as it is drawn.

`st.switch_page` changes the page without the browser, which keeps ticking until it is informed. A late tick
runs under the old page's name, at which Streamlit 1.67's client discards what it has drawn of the new page
and leaves it blank. So the page is drawn once more, without the fragment, and with a link that the browser
follows itself.
"""

from pathlib import Path
from typing import NoReturn

import streamlit as st

from cnnviz.ui.components.shared import component
from cnnviz.ui.shared import layout

HERE = Path(__file__).parent
KEY = "follow"


def follow(page: str, label: str, **changes: str | None) -> NoReturn:
    """Go to another page by the link that `layout.link` would draw for the same arguments."""
    st.session_state[KEY] = (page, label, changes)
    st.rerun()


def following() -> None:
    """Draw the link if the page is to be left, and stop the run; called before a page draws anything else."""
    if KEY not in st.session_state:
        return
    page, label, changes = st.session_state.pop(KEY)
    with st.container(key=KEY):
        layout.link(page, label, icon=":material/arrow_forward:", **changes)
        component("follow", HERE, js=("follow.js",), html="")(
            key="follow-link", data={"link": f".st-key-{KEY} a"}, height="content"
        )
    st.stop()
