"""Gate: ASGI middleware that protects the app's pages, socket, uploads and media while it is shared.

It accepts only known host names, admits requests with a cookie signed by the class, and shows a form to
others. GET requests change nothing; a POST must come from the form's own origin, sets the cookie and
redirects.
"""

from __future__ import annotations

import html
import ipaddress
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from cnnviz.access.classroom import COOKIE_DAYS, Classroom, JoinError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cnnviz.access.principal import Principal

COOKIE = "cnnviz_class"
MAX_FORM_BYTES = 4_096
MEGABYTE = 1_048_576
UPLOADED = "_stcore/upload_file/"
OPEN = frozenset({"_stcore/health"})
"""Paths without authentication: the health check."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NETWORK_NOTE = (
    "This page comes by plain http: whoever is on the same network can read what you send. "
    "Use a nickname, and no password that you use elsewhere."
)


class Gate:
    """Middleware that admits members of the class only.

    Args:
        app: The protected app.
        classroom: Verifies cookies.
        base_path: Returns the path under which the app is served, without leading and trailing slashes.
        hosts: Accepted host names, besides numeric addresses and this machine's names.
        allowance: Returns how many more bytes a member may upload now.
        count_upload: Records the bytes uploaded by a member.
    """

    def __init__(
        self,
        app: ASGIApp,
        classroom: Classroom,
        base_path: Callable[[], str] = str,
        hosts: Collection[str] = (),
        allowance: Callable[[Principal], int] | None = None,
        count_upload: Callable[[Principal, int], None] | None = None,
    ) -> None:
        self._app = app
        self._classroom = classroom
        self._base_path = base_path
        self._hosts = local_host_names() | {_host_name(name) for name in hosts}
        # Addresses in numbers are answered to anyway, and no proxy's name.
        self._named = {name for name in map(_host_name, hosts) if not _is_address(name)}
        self._allowance = allowance
        self._count = count_upload
        # Bytes of each member: of uploads that are not counted yet, and of all since the start.
        self._arriving: Counter[str] = Counter()
        self._arrived: Counter[str] = Counter()
        """Bytes of uploads in progress by member, which are not counted as theirs yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or forward it to the app."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if not self._is_known_host(connection.headers.getlist("host")):
            await _refuse(scope, receive, send, 421, "The class is not known by this address.")
            return
        if not self._same_origin(connection):
            await _refuse(scope, receive, send, 403, "This request comes from another site.")
            return
        base = self._base_path().strip("/")
        path = scope["path"].lstrip("/")
        inner = path.removeprefix(f"{base}/") if base else path
        form = (
            FORMS.get(inner.rstrip("/")) if scope["type"] == "http" and not (base and inner == path) else None
        )
        if form is not None:
            response = await form(self, Request(scope, receive), f"/{base}/" if base else "/")
            await response(scope, receive, send)
            return
        member = self._classroom.principal(connection.cookies.get(COOKIE))
        if member is not None or (scope["type"] == "http" and inner in OPEN):
            if member is not None and inner.startswith(UPLOADED) and scope["method"] not in SAFE:
                await self._upload(member, scope, receive, send)
            else:
                await self._app(scope, receive, send)
        elif scope["type"] == "http" and "text/html" in connection.headers.get("accept", ""):
            target = quote(
                scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
            )
            join_path = f"/{base}/join" if base else "/join"
            await RedirectResponse(f"{join_path}?next={target}", 303)(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 401, "Join the class first.")

    def _is_known_host(self, hosts: list[str]) -> bool:
        """Return whether the Host header is accepted, against DNS rebinding."""
        if len(hosts) != 1:
            return False
        name = _host_name(hosts[0])
        return name in self._hosts or _is_address(name)

    def _same_origin(self, connection: HTTPConnection) -> bool:
        """Return whether an unsafe request, or one that opens the socket, comes from our own pages.

        Browsers always send the origin of such requests; a request without one does not come from a browser,
        and cannot be made by another site.
        """
        if connection.scope["type"] == "http" and connection.scope["method"] in SAFE:
            return True
        if connection.headers.get("sec-fetch-site") == "cross-site":
            return False
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        try:
            netloc = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        host = connection.headers["host"].lower()
        # A proxy may put a name of its own into Host, or leave the port out. Where neither can be, another
        # port is another app on this machine.
        rewritten = _host_name(host) not in self._named or urlsplit(f"//{host}").port is None
        return netloc == host or (rewritten and _host_name(netloc) in self._named)

    async def _upload(self, member: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward an upload and count its bytes; abort it beyond the member's allowance.

        What arrives at the same time counts together, else many uploads at once would evade the limit.
        """
        # Before the allowance is read: what is counted meanwhile is rather taken off twice than not at all.
        before, uncounted = self._arrived[member.key], self._arriving[member.key]
        allowed = None if self._allowance is None else await run_sync(self._allowance, member)
        left = None if allowed is None else allowed - uncounted
        declared = HTTPConnection(scope).headers.get("content-length", "0")
        if left is not None and declared.isdigit() and int(declared) > left:
            await _refuse(
                scope, receive, send, 413,
                f"This file is larger than what you may still hand in today ({max(0, left) // MEGABYTE} MB).",
            )  # fmt: skip
            return
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._arriving[member.key] += size
            self._arrived[member.key] += size
            if left is not None and self._arrived[member.key] - before > left:
                return {"type": "http.disconnect"}
            return message

        try:
            await self._app(scope, counting, send)
        finally:
            if self._count is not None and received:
                await run_sync(self._count, member, received)
            self._arriving[member.key] -= received

    # Forms.

    async def join(self, request: Request, base: str) -> Response:
        """Show the form for students; on POST admit one."""
        target = _local(request.query_params.get("next"), base)
        form, error = await _posted(request), ""
        asks = form is None or AGAIN in form
        if asks and self._member(request) is not None:
            return RedirectResponse(target, 303)
        if asks and self._classroom.state.closed:
            lead = "Your teacher has closed it. Your runs stay, and you come in again once it is open."
            field = f'<input type="hidden" name="{AGAIN}" value="1">'
            return _form(request, "The class is closed", lead, field, "Try again", "")
        if form is not None and not asks:
            try:
                cookie = self._classroom.join(
                    form.get("code", ""), form.get("name", ""), _client(request), form.get("key", "")
                )
                return self._admit(request, cookie, base, target)
            except JoinError as refused:
                error = str(refused)
        form = form or {}
        code = _field(
            "code", "Join code", "As your teacher shows it, like 7KQ4-M2XD.", form.get("code", ""), "code",
            'data-hash required maxlength="20" autocapitalize="characters" spellcheck="false"',
        )  # fmt: skip
        name = _field(
            "name", "Nickname", "What the others in your class read.", form.get("name", ""), "",
            'maxlength="30"',
        )  # fmt: skip
        key = _field(
            "key", "Your own key", "It opens your runs again; it stands behind your name in the app.",
            form.get("key", ""), "code", 'maxlength="20" spellcheck="false"',
        )  # fmt: skip
        open_attribute = " open" if form.get("key") else ""
        fields = f"{code}{name}<details{open_attribute}><summary>I was here before</summary>{key}</details>"
        lead = "Your teacher has opened a class. Come in, and your runs are your own."
        return _form(request, "Join the class", lead, fields, "Join", error)

    async def teach(self, request: Request, base: str) -> Response:
        """Show the form for the teacher; on POST admit them."""
        form, error = await _posted(request), ""
        if form is not None:
            try:
                cookie = self._classroom.teach(form.get("teacher", ""), _client(request))
                return self._admit(request, cookie, base, f"{base}class")
            except JoinError as refused:
                error = str(refused)
        fields = _field(
            "teacher", "Teacher's key", "The link that was printed once fills it in.", "", "",
            'type="password" data-hash required maxlength="100"',
        )  # fmt: skip
        lead = "Whoever has this key sees and stops everybody's runs, and closes the class."
        return _form(request, "Open as the teacher", lead, fields, "Open", error)

    async def leave(self, request: Request, base: str) -> Response:
        """Show the form that deletes the cookie."""
        if await _posted(request) is None:
            lead = (
                "Your runs stay. To come back as yourself you need your own key; it stands behind your name. "
                "Close other tabs of this app: what is open there stays yours until it is reloaded."
            )
            return _form(request, "Leave the class", lead, "", "Leave", "")
        response = RedirectResponse(f"{base}join", 303)
        response.delete_cookie(COOKIE, path=base, httponly=True, samesite="lax")
        return response

    def _member(self, request: Request) -> Principal | None:
        return self._classroom.principal(request.cookies.get(COOKIE))

    def _admit(self, request: Request, cookie: str, base: str, target: str) -> Response:
        response = RedirectResponse(target, 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE, cookie, max_age=COOKIE_DAYS * 86_400, path=base, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response


AGAIN = "again"
"""Field of the form of a closed class, which asks for nothing."""
FORMS = {"join": Gate.join, "teach": Gate.teach, "leave": Gate.leave}
"""Paths that the gate itself handles."""


def local_host_names() -> set[str]:
    """Return the names of this machine on its own network."""
    name = socket.gethostname().lower().rstrip(".")
    short = name.partition(".")[0]
    return {"localhost", name, short, f"{short}.local"} - {""}


def _host_name(host: str) -> str:
    """Return the name in a Host header: without port, in lower case; empty if invalid."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    has_other_parts = parts.username is not None or parts.path or parts.query or parts.fragment
    return "" if has_other_parts else (parts.hostname or "").rstrip(".")


def _is_address(name: str) -> bool:
    """Return whether the name is a numeric address, which DNS rebinding cannot use."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _local(target: str | None, base: str) -> str:
    """Return the target of a redirect: a path within this app, else its first page."""
    if not target or not target.startswith(base) or target.startswith("//") or len(target) > 2_000:
        return base
    return base if any(c == "\\" or ord(c) < 33 or ord(c) > 126 for c in target) else target


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":  # Closed before it is accepted: the browser sees 403.
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": sentence})
    else:
        await PlainTextResponse(sentence, status, {"Cache-Control": "no-store"})(scope, receive, send)


async def _posted(request: Request) -> dict[str, str] | None:
    """Return the fields of a submitted form; None for GET. A form that is too long is empty."""
    if request.method != "POST":
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return {}
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _client(request: Request) -> str:
    """Return the address of the connection; forwarding headers are not trusted."""
    return request.client.host if request.client else ""


def _field(name: str, label: str, help_text: str, value: str, kind: str, attributes: str) -> str:
    escaped = html.escape(value[:100], quote=True)
    of_class = f' class="{kind}"' if kind else ""
    return (
        f"<label>{label}<span>{help_text}</span>"
        f'<input name="{name}" value="{escaped}"{of_class} {attributes}></label>'
    )


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("form.html").read_text(encoding="utf-8"))


def _form(request: Request, title: str, lead: str, fields: str, button: str, error: str) -> Response:
    nonce = secrets.token_urlsafe(12)
    content = _template().substitute(
        title=title, lead=lead, fields=fields, button=button, nonce=nonce,
        error=f'<p class="error" role="alert">{html.escape(error)}</p>' if error else "",
        action=html.escape(f"{request.url.path}?{request.url.query}".rstrip("?"), True),
        note=NETWORK_NOTE if request.url.scheme == "http" else "",
    )  # fmt: skip
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; "
        f"script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(content, 403 if error else 200, headers)
