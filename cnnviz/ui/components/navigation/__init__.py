"""The bar of pages: a menu a group on wide screens, a drawer on phones, and where one is.

Streamlit's own navigation drops the parameters of the address, and its links do not say which of them is the
current page. So the links are `st.page_link`s out of sight, which keep the session, and this draws what is
seen: real links, which hand a plain click on to those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from cnnviz.ui.components.shared import component

HERE = Path(__file__).parent


class Item(TypedDict):
    """A page in the bar."""

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
    """Draw the bar; while a page is presented nothing of it but the way out.

    Args:
        home: The page that stands on its own, at the left.
        groups: The items of each menu, by its title.
        links: A CSS selector of the elements that hold the hidden links, one an item; in the order of `home`
            and then the groups.
        key: Of the component.
        presenting: Whether a page is shown to a class.
        on_present: Called when that begins or ends.
    """
    data = {"home": home, "groups": [{"title": title, "items": items} for title, items in groups.items()]}
    component("navigation", HERE, css="navigation.css", js=("canvas.js", "navigation.js"))(
        key=key,
        data={**data, "links": links, "presenting": presenting},
        height="content",
        on_present_change=on_present,
    )
