"""`cnnviz class`: start the app for a class, reachable from the network with a join code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import psutil
import segno
import typer

from cnnviz.access import classroom
from cnnviz.access.classroom import Classroom, format_expiry, grouped
from cnnviz.cli.commands.app import (
    LEAN_VARIABLE,
    HomeFolder,
    Lean,
    OwnModels,
    Port,
    StreamlitOptions,
    launch,
    prepare,
)
from cnnviz.models.library import home as data_home

EVERYWHERE = "0.0.0.0"
MAX_UPLOAD_MB = 100


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "class",
        help="Start the app for a class: others on the network join with a code. It prints address, QR code, "
        "join code and the teacher's link.",
    )(run_class)


def run_class(
    port: Port = None,
    address: Annotated[
        str, typer.Option(help="Address to listen at; by default every one of this machine.")
    ] = EVERYWHERE,
    home: HomeFolder = None,
    model: OwnModels = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name by which the app is reached, as behind a proxy; repeatable."
        ),
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, max=72.0, help="How long the join code lets new students in.")
    ] = classroom.CODE_HOURS,
    lean: Lean = False,
    streamlit_options: StreamlitOptions = None,
) -> None:
    """Open the class, print its links and join code, and replace this process by Streamlit's."""
    start = prepare(port, address, home, model)
    start.settings.setdefault("server.headless", "true")
    start.settings.setdefault("server.maxUploadSize", str(MAX_UPLOAD_MB))
    folder = Path(start.environment.get("CNNVIZ_HOME") or data_home())
    opened = Classroom(folder / classroom.FILE)
    key = opened.open(hours)
    start.environment[classroom.PATH_VARIABLE] = str(opened.path)
    start.environment[classroom.HOSTS_VARIABLE] = ",".join(host or [])
    if lean:
        start.environment[LEAN_VARIABLE] = "1"
    url = _url(start.settings, host or [], address, streamlit_options or [])
    start.environment[classroom.URL_VARIABLE] = url
    _print_links(url, opened, key)
    launch(start, streamlit_options)


def _print_links(url: str, opened: Classroom, key: str) -> None:
    state = opened.state
    typer.echo(
        f"\nThe class is open at  {url}\n"
        f"Join code             {grouped(state.code)}   until {format_expiry(state)}\n"
    )
    segno.make(f"{url}/join#{grouped(state.code)}", error="m").terminal(compact=True)
    typer.echo(
        "\nThe teacher's link, printed once. Whoever has it sees and stops everybody's runs:\n"
        f"  {url}/teach#{key}\n"
    )
    if url.startswith("http:"):
        typer.echo(
            "Plain http: whoever is on the same network can read what is sent; docs/class.md says how to use "
            "https.\n"
        )


def _url(settings: dict[str, str], hosts: list[str], address: str, options: list[str]) -> str:
    """Return the URL that students type: the first given host name, else this machine's network address."""
    secure = any(option.startswith("--server.sslCertFile") for option in options) or bool(
        os.environ.get("STREAMLIT_SERVER_SSL_CERT_FILE")
    )
    scheme, port = ("https" if secure else "http"), settings["server.port"]
    name = hosts[0] if hosts else (network_address() if address in (EVERYWHERE, "::") else address)
    given = next((o.partition("=")[2] for o in options if o.startswith("--server.baseUrlPath=")), None)
    base = (given or settings.get("server.baseUrlPath", "")).strip("/")
    shown = f"[{name}]" if ":" in name and "]" not in name and not hosts else name
    return f"{scheme}://{shown}:{port}" + (f"/{base}" if base else "")


def network_address() -> str:
    """Return an IPv4 address of this machine that others can reach; `127.0.0.1` if there is none."""
    active = psutil.net_if_stats()
    addresses_found = [
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        if name in active and active[name].isup and not name.startswith(("docker", "br-", "veth", "virbr"))
        for each in addresses
        if each.family.name == "AF_INET" and not each.address.startswith(("127.", "169.254."))
    ]
    return addresses_found[0] if addresses_found else "127.0.0.1"
