"""Visitors: the principal of a session, and the gate before an app that others can reach.

In an app for a single local user none of it is imported.
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
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import streamlit as st

from cnnviz import access
from cnnviz.access import NOBODY, Principal, acting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cnnviz.access.classroom import Classroom
    from cnnviz.access.principal import SignIn
    from cnnviz.tracking import Database, Run, RunSummary

CLASS_VARIABLE, SIGN_IN_VARIABLE = "CNNVIZ_CLASS", "CNNVIZ_SIGN_IN"


@cache
def classroom() -> Classroom | None:
    """Return the class that this app was started for; None for a single-user app."""
    path = os.environ.get(CLASS_VARIABLE)
    if not path:
        return None
    from cnnviz.access.classroom import Classroom

    return Classroom(Path(path))


def middleware() -> list[Any]:
    """Return the middleware of st.App; empty for a single-user app."""
    opened_class = classroom()
    if sign_in() is not None:
        access.resolve_with(signed_in)
    if opened_class is None:
        return []
    from starlette.middleware import Middleware

    from cnnviz.access.classroom import HOSTS_VARIABLE
    from cnnviz.access.gate import Gate

    hosts = [name for name in os.environ.get(HOSTS_VARIABLE, "").split(",") if name]
    access.resolve_with(class_member)
    opened_class.hold()
    gate = Middleware(
        Gate,
        classroom=opened_class,
        base_path=base_path,
        hosts=hosts,
        allowance=_allowance,
        count_upload=_count_upload,
    )
    return [gate]


@cache
def sign_in() -> SignIn | None:
    """Return the sign-in policy; None if nobody has to sign in."""
    text = os.environ.get(SIGN_IN_VARIABLE)
    if not text:
        return None
    from cnnviz.access.principal import SignIn

    return SignIn.read(text)


def signed_in() -> Principal:
    """Return the principal of this session, by the identity that its provider vouches for."""
    policy = sign_in()
    if policy is None:
        return access.ALONE
    try:
        user = st.user.to_dict()
    except Exception:  # a thread without a session has no user
        return NOBODY
    headers = st.get_option("server.trustedUserHeaders")
    return policy.principal(user, list(headers.values()) if isinstance(headers, dict) else [])


def shared_routes() -> list[Any]:
    """Return the route of the class page, if others can reach the app."""
    if not shared():
        return []
    return [st.Page(_class_page, title="Class", url_path="class", visibility="hidden")]


def _class_page() -> None:
    # Imported late and by name, since `shared` must not import pages.
    importlib.import_module("cnnviz.ui.pages.classroom").class_page()


FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers set by proxies: a request that came through one may be from another machine."""


def is_local_session() -> bool:
    """Return whether the session is that of a browser on this machine, in a single-user app."""
    if shared():
        return False
    try:
        return is_local(st.context.ip_address, {k.lower(): v for k, v in st.context.headers.items()})
    except Exception:  # no session
        return False


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def may_open_class() -> bool:
    """Return whether the session may open the app to a class: a local one, of an app at localhost."""
    return is_local_session() and st.get_option("server.address") in LOOPBACK


def is_local(address: str | None, headers: Mapping[str, str]) -> bool:
    """Return whether a connection comes from a page of ours in a browser on this machine.

    A page of another site, or one that a proxy serves without saying so, has another origin.

    Args:
        address: Client address as Streamlit returns it: None for loopback.
        headers: Headers of the WebSocket request, names in lower case.
    """
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    local = name in ("localhost", "127.0.0.1", "[::1]")
    try:
        own = urlsplit(headers.get("origin", "//" + host)).netloc.lower() == host
    except ValueError:
        own = False
    return address is None and local and own and not any(header in headers for header in FORWARDED)


def class_command() -> str:
    """Return the command that opens this app's runs to a class, where no process can be started for it."""
    home = os.environ.get("CNNVIZ_HOME")
    return "cnnviz class" + (f" --home {shlex.quote(home)}" if home else "")


def base_path() -> str:
    """Return the path that the app is served under, without leading and trailing slashes."""
    return str(st.get_option("server.baseUrlPath") or "").strip("/")


def class_member() -> Principal:
    """Return the principal of this session, by the cookie of its WebSocket request.

    The cookie is checked each time: after a class was closed nobody can change anything.
    """
    opened_class = classroom()
    if opened_class is None:
        return access.ALONE
    from cnnviz.access.gate import COOKIE

    try:
        cookie = st.context.cookies.get(COOKIE)
    except Exception:  # a thread without a session has no user
        return NOBODY
    return opened_class.principal(cookie) or NOBODY


# Upload quota, which the gate checks and counts per member, outside of any session.


@cache
def _gate_database() -> Database:
    from cnnviz import tracking

    return tracking.connect()


def _allowance(member: Principal) -> int:
    """Return the bytes that a member may still upload today; 0 if unknown."""
    from cnnviz import tracking

    if member.manages:
        return MAX_UPLOAD
    try:
        with acting(member):
            return tracking.upload_allowance(_gate_database())
    except (ValueError, OSError):
        return 0


def _count_upload(member: Principal, size: int) -> None:
    from cnnviz import tracking

    with contextlib.suppress(ValueError, OSError), acting(member):
        tracking.count_upload(_gate_database(), size)


MAX_UPLOAD = 500_000_000
"""Bytes that a manager may upload in one request; no field accepts more."""


# Ownership of runs.


def shared() -> bool:
    """Return whether others can reach this app."""
    return classroom() is not None or sign_in() is not None


def may_change(database: Database, owner_id: int | None) -> bool:
    """Return whether the session may change what this owner has, for offering it; storing checks it again."""
    if access.principal().manages:
        return True
    from cnnviz import tracking

    own = tracking.current_owner_id(database)
    return own is not None and own == owner_id


def whose(database: Database, owner_id: int | None, what: str, instead: str) -> str:
    """Return why the session cannot change something.

    Args:
        database: The run database.
        owner_id: Who owns it.
        what: It, as the subject of a sentence: `This run`.
        instead: What somebody else may do with it: `look at it, and clone it.`
    """
    if classroom() is not None and not access.principal().may_write:
        return f"The class is closed: {what[0].lower()}{what[1:]} can be looked at, and nothing changed."
    owner = owner_name(database, owner_id) or "somebody else"
    return f"{what} is {owner}’s: {instead}"


def owners(database: Database) -> dict[int, str]:
    """Return the owners' names by id; none where nobody but the local user has ever made anything.

    What a class has made is somebody's also in the teacher's own app.
    """
    from cnnviz import tracking

    names = tracking.owner_names(database)
    return names if shared() or len(names) > 1 else {}


def owner_namer(database: Database) -> Callable[[int | None], str]:
    """Return what gives `owner_name` for each row of a list, with the owners read once."""
    from cnnviz import tracking

    names = owners(database)
    own = tracking.current_owner_id(database) if names else None

    def name(owner_id: int | None) -> str:
        return "" if not names or owner_id in (None, own) else names.get(owner_id) or "Teacher"

    return name


def owner_name(database: Database, owner_id: int | None) -> str:
    """Return the owner's name; empty for the session's own, and where there is one owner."""
    return owner_namer(database)(owner_id)


def held_back(database: Database, run: Run | RunSummary) -> str:
    """Return why a queued run does not start although a machine is free; else ""."""
    from cnnviz import tracking

    return tracking.held_back(database, run.owner_id)


class Owned(Protocol):
    """What has an owner: a run, an experiment."""

    @property
    def owner_id(self) -> int | None:
        """Id of the owner."""


OwnedT = TypeVar("OwnedT", bound=Owned)


def own_first(database: Database, items: Sequence[OwnedT]) -> list[OwnedT]:
    """Sort the session's own runs or experiments before all others, each in their order, in a shared app."""
    if not shared():
        return list(items)
    from cnnviz import tracking

    own = tracking.current_owner_id(database)
    return sorted(items, key=lambda item: item.owner_id != own)


def with_owners(database: Database, runs: Sequence[RunSummary]) -> tuple[RunSummary, ...]:
    """Append the owner's name to the names of others' runs."""
    from cnnviz import tracking

    names = owners(database)
    if not names:
        return tuple(runs)
    own = tracking.current_owner_id(database)
    return tuple(
        run
        if run.owner_id in (own, None)
        else replace(run, name=f"{run.name} · {names.get(run.owner_id or 0) or 'Teacher'}")
        for run in runs
    )
