"""Pages: their registry, navigation bar, heading with its sentence, links, redirects, and base CSS.

Every file in pages/ with a `PAGE = Page(...)` header is a page.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn, TypedDict
from urllib.parse import urlencode

import streamlit as st

from cnnviz.ui.components import component
from cnnviz.ui.shared.url_state import carried, change_without_model, follow_link, restore

NOT_PAGES = frozenset({"__init__", "navigation"})
"""Stems of files in pages/ that are not pages."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Header of a page. Its arguments are literals, so that it can be read without running the page.

    Attributes:
        title: Title in the navigation bar, in the browser tab and as the heading.
        icon: A Material symbol, `":material/name:"` (their font ships with Streamlit).
        order: Position in the navigation bar; the page with the lowest is the home page.
        blurb: One sentence on what the page shows.
        group: Menu of the navigation bar; empty for a page outside of menus.
        heading: Heading of the page in place of the title; the title if empty.
    """

    title: str
    icon: str
    order: int
    blurb: str
    group: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        """Raise `ValueError` for values that the navigation bar cannot show."""
        if not self.title.strip() or not self.blurb.strip():
            raise ValueError("a page needs a title and a blurb")
        if not (self.icon.startswith(":material/") and self.icon.endswith(":")):
            raise ValueError(f"a page's icon is ':material/name:', not {self.icon!r}")


def find_pages(folder: Path) -> dict[str, Page]:
    """Return the pages in `folder` by name (the file's stem and URL path), in the order of the bar.

    Raises:
        ValueError: A file has no valid header, or two pages have the same order.
    """
    pages = {
        path.stem: _header(path, path.stat().st_mtime_ns)
        for path in folder.glob("*.py")
        if path.stem not in NOT_PAGES
    }
    ordered = dict(sorted(pages.items(), key=lambda item: item[1].order))
    if len({page.order for page in ordered.values()}) < len(ordered):
        raise ValueError(f"two pages in {folder.name}/ have the same order")
    return ordered


@lru_cache(maxsize=256)
def _header(path: Path, _modified_ns: int) -> Page:
    """Read the header of a page; the modification time is part of the cache key."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["PAGE"]:
            return _evaluate(node.value, path.name)
    raise ValueError(f"{path.name} has no header: PAGE = Page({_arguments()})")


def _evaluate(call: ast.expr, name: str) -> Page:
    """Build the `Page` of a header call from its literals."""
    try:
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("it is not a call with named arguments")
        return Page(**{str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: its header must be PAGE = Page({_arguments()}): {error}") from error


def _arguments() -> str:
    return ", ".join(f"{field.name}=…" for field in fields(Page))


HERE = Path(__file__).parent

# Navigation bar: one menu per group on wide screens, a drawer on phones. Streamlit's own drops the URL's
# parameters, and its links do not say which one is the current page. So the actual links are hidden
# `st.page_link`s, which keep the session, and this component draws visible links, which forward a plain click
# to them.


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


# Guard: reloads a page that Streamlit's client has left blank, with the selection in its URL. If a fragment
# ticks before a newer run of the script has drawn as far as it, the client of Streamlit 1.67 may fail with
# "Bad delta path index 7 (should be between [0, 3])" and leave a blank page: seen once in some ten minutes of
# ticks, on a machine so busy that they came late.

GUARD_KEY = "guard"


def guard() -> None:
    """Watch over the page; nothing is drawn."""
    with st.container(key=GUARD_KEY):
        component("guard", HERE, js=("guard.js",), html="")(key="guard-watch", data={}, height="content")


# The top of every page, and links between pages.


def page_header(pages: Mapping[str, Page], current: str, page: Page | None = None) -> None:
    """Draw the navigation bar and the heading of a page, and set the browser tab's title.

    Args:
        pages: Pages of the navigation bar.
        current: Name of the page that is shown.
        page: Its header, if it is not in the navigation bar.
    """
    restore()
    follow_link()
    page = page or pages[current]
    st.set_page_config(page_title=f"{page.title} · cnnviz", page_icon=_favicon(), layout="wide")
    st.html(HERE / "layout.css")
    if presenting():
        st.html(HERE / "present.css")
    # The browser knows its height before it has the style sheet: placeholders of links stay out of sight.
    with st.container(key="routes", height=1, border=False):
        for name, other in pages.items():
            link(name, other.title, icon=other.icon, **_dropped_parameters(name))
    with st.container(key="bar"):
        _navigation(pages, current, page.title)
    key = "heading" if _first_visit(current) else "heading-again"
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key=key):
        st.title(page.heading or page.title, anchor=False, width="content")
        st.markdown(page.blurb, width="content")
    guard()


VISITS = "page-visits"


def _first_visit(page: str) -> bool:
    """Return whether the session is at the page for the first time, reruns included."""
    last, counts = st.session_state.get(VISITS, ("", {}))
    if last != page or not counts:
        counts = counts | {page: counts.get(page, 0) + 1}
        st.session_state[VISITS] = (page, counts)
    first: bool = counts[page] == 1
    return first


PRESENT = "present"
"""Parameter that hides navigation and settings and enlarges text, for a projector: `present=1`."""


def presenting() -> bool:
    """Return whether the page is being presented."""
    return st.query_params.get(PRESENT) == "1"


def _present() -> None:
    """Begin or end presenting, for use in callbacks."""
    change_without_model(present=None if presenting() else "1")


def _dropped_parameters(page: str) -> dict[str, None]:
    """Return parameters that the bar's link to a page drops: Runs opens on its list, not on one run."""
    return {"run": None} if page == "runs" else {}


def _navigation(pages: Mapping[str, Page], current: str, title: str) -> None:
    """Draw the navigation bar, with pages grouped into menus."""
    groups: dict[str, list[Item]] = {}
    home: list[Item] = []
    for position, (name, page) in enumerate(pages.items()):
        path = "" if position == 0 else name
        shown = {key: value for key, value in carried().items() if key not in _dropped_parameters(name)}
        query = urlencode(shown)
        item = Item(
            title=page.title, blurb=page.blurb, href=f"/{path}?{query}" if query else f"/{path}",
            current=name == current,
        )  # fmt: skip
        (groups.setdefault(page.group, []) if page.group else home).append(item)
    navigation(
        home[0], groups, here=title, links='.st-key-routes [data-testid="stPageLink"]', key="navigation",
        presenting=presenting(), on_present=_present,
    )  # fmt: skip


def link(page: str, label: str, *, icon: str | None = None, **changes: str | None) -> None:
    """Draw a link to the page of that name that carries the selection along.

    Args:
        page: The page's name: the stem of its file.
        label: Text of the link.
        icon: A Material symbol, `":material/name:"`.
        changes: Parameters that differ behind the link; None removes one.
    """
    parameters = {name: value for name, value in (carried() | changes).items() if value is not None}
    st.page_link(f"{page}.py", label=label, icon=icon, query_params=parameters)


@cache
def _favicon() -> str:
    # Inline: Streamlit fetches the image of an emoji or Material symbol for the tab from another site.
    return (HERE / "favicon.svg").read_text(encoding="utf-8")


# Former paths of pages, which redirect to the current ones with their parameters.

MOVED = {"why": "attribution", "side-by-side": "compare"}
"""Current page name by former path."""


def redirect_pages(routes: Mapping[str, Any]) -> list[Any]:
    """Return a page for each former path that switches to the current one in `routes`."""
    return [
        st.Page(
            partial(_redirect, routes[name]), title=routes[name].title, url_path=path, visibility="hidden"
        )
        for path, name in MOVED.items()
    ]


def _redirect(page: Any) -> None:
    st.switch_page(page, query_params=st.query_params.to_dict())


# Redirect of a page with a ticking fragment. `st.switch_page` changes the page without the browser, which
# keeps ticking until it is informed. A late tick runs under the old page's name, at which Streamlit 1.67's
# client discards what it has drawn of the new page and leaves it blank. So the page is drawn once more,
# without the fragment, and with a link that the browser follows as soon as it is drawn.

FOLLOW_KEY = "follow"


def follow(page: str, label: str, **changes: str | None) -> NoReturn:
    """Go to another page by the link that `link` would draw for the same arguments."""
    st.session_state[FOLLOW_KEY] = (page, label, changes)
    st.rerun()


def following() -> bool:
    """Draw the link and return True if the page is to be left: then the page draws nothing else and returns.

    It must not call `st.stop`: a stopped script keeps its fragments, and a tick that waited for its end would
    draw into containers that are gone, at which the client goes blank.
    """
    if FOLLOW_KEY not in st.session_state:
        return False
    page, label, changes = st.session_state.pop(FOLLOW_KEY)
    with st.container(key=FOLLOW_KEY):
        link(page, label, icon=":material/arrow_forward:", **changes)
        component("follow", HERE, js=("follow.js",), html="")(
            key="follow-link", data={"link": f".st-key-{FOLLOW_KEY} a"}, height="content"
        )
    return True
