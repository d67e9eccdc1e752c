"""Visitors: who the person behind a session is, and what stands before the app where others can reach it.

Alone on one's own machine none of it is imported or asked for.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import access
from cnnviz.access import NOBODY, Principal

if TYPE_CHECKING:
    from cnnviz.access.classroom import Classroom

CLASS_VARIABLE = "CNNVIZ_CLASS"


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
    if room is None:
        return []
    from starlette.middleware import Middleware

    from cnnviz.access.classroom import HOSTS_VARIABLE
    from cnnviz.access.gate import Gate

    hosts = [name for name in os.environ.get(HOSTS_VARIABLE, "").split(",") if name]
    access.resolve_with(class_member)
    return [Middleware(Gate, classroom=room, base_path=base_path, hosts=hosts)]


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
