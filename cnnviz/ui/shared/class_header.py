"""Class header: the line below the heading of every page while a class is open (user, limits, handout)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

from cnnviz import access
from cnnviz.access.classroom import Classroom, grouped
from cnnviz.ui.components import component
from cnnviz.ui.shared import notice, visitors
from cnnviz.ui.shared.layout import Page
from cnnviz.ui.shared.runs import run_data

HERE = Path(__file__).parent
PAGE = Page(
    title="Class",
    icon=":material/school:",
    order=99,
    blurb="Who is here, what trains, and how much each may have.",
)
"""Page header of the teacher's page."""


def draw(class_page: Any, pages: Mapping[str, Page], at_class: bool) -> bool:
    """Draw the class line; return False if no page may follow: class closed, or not signed in.

    Args:
        class_page: The route of the teacher's page.
        pages: All pages by name.
        at_class: Whether the teacher's page is shown.
    """
    classroom, who = visitors.classroom(), access.principal()
    if classroom is not None and not who.manages:
        _watch()
    if classroom is not None and not who.may_write:
        st.warning("The class is closed. Your runs stay; reload this page once it is open again.")
        return False
    reached = ""
    with st.container(
        horizontal=True,
        gap="small",
        vertical_alignment="center",
        key="class-line",
        horizontal_alignment="right",
    ):
        if who.manages and not at_class:
            st.page_link(class_page, label="Class" if classroom else "People", icon=":material/school:")
        if classroom is None and not who.may_write:
            _sign_in()
        elif classroom is None or not who.manages:
            reached = _person(classroom, who)
    if reached:
        st.warning(notice.escape(reached), icon=":material/hourglass_bottom:")
    if classroom is not None:
        _handout(classroom, pages, "You hand out" if who.manages else "Your teacher hands out")
    policy = visitors.sign_in()
    if policy is not None and not policy.guests and not who.may_write:
        st.info("Sign in to see what is here.", icon=":material/lock:")
        return False
    return True


def _watch() -> None:
    """Let the browser find out that the class was closed or is gone; nothing is drawn."""
    base = visitors.base_path()
    with st.container(key="class-watch"):
        component("class_watch", HERE, js=("class_watch.js",), html="")(
            key="class-watch-script", data={"base": f"/{base}" if base else ""}, height="content"
        )


def _sign_in() -> None:
    """Draw a button for each provider in Streamlit's secrets."""
    names = providers(st.secrets.get("auth", {}))
    for name in names:
        label = f"Sign in with {name}" if name else "Sign in"
        st.button(
            label, key=f"sign-in-{name}", icon=":material/login:", type="tertiary",
            on_click=st.login, args=(name,) if name else (),
        )  # fmt: skip
    if not names:
        st.caption("Nobody can sign in: .streamlit/secrets.toml has no [auth] yet.")


def providers(auth: Mapping[str, Any]) -> list[str]:
    """Return the names of the providers in Streamlit's `[auth]` section; `[""]` for a single unnamed one."""
    named = [
        name for name, section in auth.items() if isinstance(section, Mapping) and "client_id" in section
    ]
    return named or ([""] if "client_id" in auth else [])


def _person(classroom: Classroom | None, who: access.Principal) -> str:
    """Draw the visitor's name, with usage and key behind it, after limits of which little is left.

    Returns:
        A message on the limit that is reached; empty if none is.
    """
    from cnnviz import tracking

    problem = used = reached = ""
    try:
        database = run_data.database()
        usage, limits = tracking.read_usage(database), tracking.read_limits(database)
    except (ValueError, OSError) as error:
        problem = str(error)
    else:
        used = "\n".join(f"- {part}" for part in usage.summary(limits).split(" · "))
        reached = "" if who.manages else usage.exhausted(limits)
        if not who.manages and (near := usage.near(limits)):
            st.caption(notice.escape(near), width="content")
    with st.popover(notice.escape(who.name), icon=":material/person:", type="tertiary"):
        if problem:
            st.caption(notice.escape(problem))
        else:
            st.markdown("**What you have**")
            st.markdown(used)
        if classroom is None:
            st.button("Sign out", key="sign-out", type="tertiary", on_click=st.logout)
            return reached
        st.markdown("**Your own key**")
        st.caption("With it you are the same person on another computer. Keep it to yourself.")
        st.code(grouped(classroom.student_key(who.key)), language=None)
        base = visitors.base_path()
        # Not `st.link_button`: it opens another tab, and in this one who left would still be here.
        leave = f"/{base}/leave" if base else "/leave"
        st.html(f'<a class="class-leave" href="{leave}">Leave the class</a>')
    return reached


def _handout(classroom: Classroom, pages: Mapping[str, Page], lead: str) -> None:
    """Draw the link to the teacher's handout."""
    state = classroom.state
    target = parse_address(state.handout, pages)
    if target is not None:
        page, query = target
        with st.container(key="class-handout", border=True):
            st.page_link(
                f"{page}.py", label=f"{lead}: {notice.escape(state.handout_title)}",
                icon=":material/assignment:", query_params=query,
            )  # fmt: skip


def parse_address(address: str, pages: Mapping[str, Page]) -> tuple[str, dict[str, str]] | None:
    """Return the page and query parameters of an address of this app; None for any other."""
    if not address or len(address) > 4_000:
        return None
    try:
        split = urlsplit(address)
        name = split.path.rstrip("/").rpartition("/")[2]
        query = dict(parse_qsl(split.query, max_num_fields=100))
    except ValueError:
        return None
    first = next(iter(pages))
    return (name or first, query) if (name or first) in pages else None
