"""Navigation bar: one menu per group on wide screens, a drawer on phones, with the current page marked.

Streamlit's own navigation drops the URL's parameters, and its links do not say which one is the current page.
So the actual links are hidden `st.page_link`s, which keep the session, and this component draws visible
links, which forward a plain click to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from cnnviz.ui.components.shared import component

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
    links: str,
    key: str,
    presenting: bool = False,
    on_present: Callable[[], None] = lambda: None,
) -> None:
    """Draw the navigation bar; in presentation mode only the button that leaves it.

    Args:
        home: The page outside of menus, at the left.
        groups: Items of each menu, by its title.
        links: CSS selector of the elements that hold the hidden links, one per item, in the order of `home`
            and
            then the groups.
        key: Key of the component.
        presenting: Whether the page is in presentation mode.
        on_present: Called when presentation mode begins or ends.
    """
    data = {"home": home, "groups": [{"title": title, "items": items} for title, items in groups.items()]}
    component("navigation", HERE, css="navigation.css", js=("canvas.js", "navigation.js"))(
        key=key,
        data={**data, "links": links, "presenting": presenting},
        height="content",
        on_present_change=on_present,
    )
