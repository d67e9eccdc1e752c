"""Navigation bar (one menu per group on wide screens, a drawer on phones), and the guard of blank pages.

Streamlit's own navigation drops the URL's parameters, and its links do not say which one is the current page.
So the actual links are hidden `st.page_link`s, which keep the session, and this component draws visible
links, which forward a plain click to them.

The guard reloads a page that Streamlit's client has left blank, with the selection in its URL. If a fragment
ticks before a newer run of the script has drawn as far as it, the client of Streamlit 1.67 may fail with "Bad
delta path index 7 (should be between [0, 3])" and leave a blank page: seen once in some ten minutes of ticks,
on a machine so busy that they came late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import streamlit as st

from cnnviz.ui.components import component

HERE = Path(__file__).parent


class Item(TypedDict):
    """A page of the navigation bar."""

    title: str
    blurb: str
    href: str
    current: bool


def navigation(
    home: Item,
    groups: Mapping[str, Sequence[Item]],
    *,
    here: str,
    links: str,
    key: str,
    presenting: bool = False,
    on_present: Callable[[], None] = lambda: None,
) -> None:
    """Draw the navigation bar; in presentation mode only the button that leaves it.

    Args:
        home: The page outside of menus, at the left.
        groups: Items of each menu, by its title.
        here: Title of the page that is shown, which may be in no menu.
        links: CSS selector of the elements that hold the hidden links, one per item, in the order of `home`
            and then the groups.
        key: Key of the component.
        presenting: Whether the page is in presentation mode.
        on_present: Called when presentation mode begins or ends.
    """
    data = {"home": home, "groups": [{"title": title, "items": items} for title, items in groups.items()]}
    component("navigation", HERE, css="navigation.css", js=("canvas.js", "navigation.js"))(
        key=key,
        data={**data, "here": here, "links": links, "presenting": presenting},
        height="content",
        on_present_change=on_present,
    )


GUARD_KEY = "guard"


def guard() -> None:
    """Watch over the page; nothing is drawn."""
    with st.container(key=GUARD_KEY):
        component("guard", HERE, js=("guard.js",), html="")(key="guard-watch", data={}, height="content")
