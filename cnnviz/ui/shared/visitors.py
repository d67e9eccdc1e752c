"""Visitors: who the person behind a session is, and what stands before the app where others can reach it.

Alone on one's own machine none of it is imported or asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import access
from cnnviz.access import NOBODY, Principal, acting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnviz.access.classroom import Classroom
    from cnnviz.access.sign_in import SignIn
    from cnnviz.tracking import Database, RunSummary

CLASS_VARIABLE, SIGN_IN_VARIABLE = "CNNVIZ_CLASS", "CNNVIZ_SIGN_IN"


@cache
def classroom() -> Classroom | None:
    """The class that this app was started for; None where it serves whoever started it."""
    path = os.environ.get(CLASS_VARIABLE)
    if not path:
        return None
    from cnnviz.access.classroom import Classroom

    return Classroom(Path(path))


def middleware() -> list[Any]:
    """What st.App puts before everything; nothing where the app serves one person."""
    room = classroom()
    if sign_in() is not None:
        access.resolve_with(signed_in)
    if room is None:
        return []
    from starlette.middleware import Middleware

    from cnnviz.access.classroom import HOSTS_VARIABLE
    from cnnviz.access.gate import Gate

    hosts = [name for name in os.environ.get(HOSTS_VARIABLE, "").split(",") if name]
    access.resolve_with(class_member)
    gate = Middleware(
        Gate,
        classroom=room,
        base_path=base_path,
        hosts=hosts,
        allowance=_allowance,
        count_upload=_count_upload,
    )
    return [gate]


@cache
def sign_in() -> SignIn | None:
    """The policy of signing in; None where nobody has to."""
    text = os.environ.get(SIGN_IN_VARIABLE)
    if not text:
        return None
    from cnnviz.access.sign_in import SignIn

    return SignIn.read(text)


def signed_in() -> Principal:
    """Who this session belongs to, by the identity that its provider vouches for."""
    policy = sign_in()
    if policy is None:
        return access.ALONE
    try:
        user = st.user.to_dict()
    except Exception:  # a thread without a session works for nobody
        return NOBODY
    headers = st.get_option("server.trustedUserHeaders")
    return policy.principal(user, list(headers.values()) if isinstance(headers, dict) else [])


def shared_routes() -> list[Any]:
    """The page of the class, where others can reach the app."""
    if not shared():
        return []
    return [st.Page(_class_page, title="Class", url_path="class", visibility="hidden")]


def _class_page() -> None:
    # Late, and by its name: what pages share imports no page.
    importlib.import_module("cnnviz.ui.pages.classroom.page").class_page()


FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers of a proxy: whoever comes through one need not be at this machine."""


def at_this_machine() -> bool:
    """Whether the session is that of a browser at this machine, in an app that serves whoever started it."""
    if shared():
        return False
    try:
        return is_local(st.context.ip_address, {k.lower(): v for k, v in st.context.headers.items()})
    except Exception:  # no session
        return False


def is_local(address: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a connection comes from a browser at this machine.

    Args:
        address: As Streamlit gives it: None for loopback.
        headers: Of the socket's request, names in lower case.
    """
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    local = name in ("localhost", "127.0.0.1", "[::1]")
    return address is None and local and not any(header in headers for header in FORWARDED)


def class_command() -> str:
    """The command that opens this app's runs to a class."""
    home = os.environ.get("CNNVIZ_HOME")
    return "cnnviz class" + (f" --home {shlex.quote(home)}" if home else "")


def base_path() -> str:
    """The path under which the app is served, without slashes at its ends."""
    return str(st.get_option("server.baseUrlPath") or "").strip("/")


def class_member() -> Principal:
    """Who this session belongs to, by the cookie that came with its socket.

    The cookie is judged anew each time: a class that was closed meanwhile lets nobody change anything.
    """
    room = classroom()
    if room is None:
        return access.ALONE
    from cnnviz.access.gate import COOKIE

    try:
        cookie = st.context.cookies.get(COOKIE)
    except Exception:  # a thread without a session works for nobody
        return NOBODY
    return room.principal(cookie) or NOBODY


# What is handed in, counted by the gate for whoever hands it in; it runs outside any session.


@cache
def _gate_database() -> Database:
    from cnnviz import tracking

    return tracking.connect()


def _allowance(member: Principal) -> int:
    """Bytes that a member may still hand in today; 0 where that cannot be found out."""
    from cnnviz import tracking

    if member.manages:
        return MOST_UPLOAD
    try:
        with acting(member):
            return tracking.upload_allowance(_gate_database())
    except (ValueError, OSError):
        return 0


def _count_upload(member: Principal, size: int) -> None:
    from cnnviz import tracking

    with contextlib.suppress(ValueError, OSError), acting(member):
        tracking.count_upload(_gate_database(), size)


MOST_UPLOAD = 500_000_000
"""Bytes of one request by who manages; no field takes more."""


# Whose a run is, as pages show it.


def shared() -> bool:
    """Whether others can reach this app."""
    return classroom() is not None or sign_in() is not None


def may_change(database: Database, owner_id: int | None) -> bool:
    """Whether what this owner has may be changed, so that a page offers it; storing checks it again."""
    if access.principal().manages:
        return True
    from cnnviz import tracking

    own = tracking.own_number(database)
    return own is not None and own == owner_id


def whose(database: Database, owner_id: int | None) -> str:
    """What the owner is called, where the app is shared; empty for what is one's own."""
    from cnnviz import tracking

    if not shared() or owner_id is None or tracking.own_number(database) == owner_id:
        return ""
    return tracking.owner_names(database).get(owner_id) or "Teacher"


def mine_first(database: Database, runs: Sequence[RunSummary]) -> list[RunSummary]:
    """The same runs with those before all others that are one's own, each in their order."""
    if not shared():
        return list(runs)
    from cnnviz import tracking

    own = tracking.own_number(database)
    return sorted(runs, key=lambda run: run.owner_id != own)


def with_owners(database: Database, runs: Sequence[RunSummary]) -> tuple[RunSummary, ...]:
    """The same runs; others' have their owner behind their name, where the app is shared."""
    if not shared():
        return tuple(runs)
    from cnnviz import tracking

    own, names = tracking.own_number(database), tracking.owner_names(database)
    return tuple(
        run
        if run.owner_id in (own, None)
        else replace(run, name=f"{run.name} · {names.get(run.owner_id or 0) or 'Teacher'}")
        for run in runs
    )
