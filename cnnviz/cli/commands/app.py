"""`cnnviz app` and `cnnviz class`: start the packaged app, from any folder, or for a class.

A class reaches it from the network with a join code.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import segno
import typer

from cnnviz import paths
from cnnviz.access import classroom
from cnnviz.access.class_process import network_addresses
from cnnviz.access.classroom import Classroom, format_expiry, grouped, join_link, teacher_link
from cnnviz.access.principal import VARIABLE, SignIn
from cnnviz.cli.options import pairs
from cnnviz.models.user_code import registration
from cnnviz.paths import home as data_home
from cnnviz.sentences import full_stop

LOCALHOST, LEAN_VARIABLE = "localhost", "CNNVIZ_LEAN"
FIRST_PORT, PORTS = 8501, 100
"""Streamlit's default port, and the number of ports tried from there."""
SETTINGS = {
    "server.baseUrlPath": "",
    "server.enableAgentApi": "false",
    "server.enableCORS": "true",
    "server.enableStaticServing": "false",
    "server.enableXsrfProtection": "true",
    "server.runOnSave": "false",
    "client.showErrorDetails": "full",
}
"""Streamlit's defaults of options that the app's .streamlit/config.toml does not set: otherwise the settings
of another app, in the current folder, would apply to this one."""
SHARED = {"client.showErrorDetails": "none"}
"""Options of an app that others reach: paths and code of an error are for the terminal alone."""


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "app",
        help="Start the app. What follows -- goes to Streamlit, as in: cnnviz app -- --server.headless true",
    )(run_app)
    app.command(
        "class",
        help="Start the app for a class: others on the network join with a code. It prints address, QR code, "
        "join code and the teacher's link.",
    )(run_class)


Port = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="Port; by default the first free one from 8501."),
]
HomeFolder = Annotated[
    Path | None,
    typer.Option(
        "--home", metavar="FOLDER", help="Where runs, models and data are kept, instead of CNNVIZ_HOME."
    ),
]
OwnModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="FILE.py:CLASS",
        help="A network of your own, file/CLASS on every page; may be repeated.",
    ),
]
Lean = Annotated[
    bool,
    typer.Option("--lean", help="For little memory: nothing is loaded before it is needed; starts slower."),
]
StreamlitOptions = Annotated[list[str] | None, typer.Argument(metavar="[-- STREAMLIT OPTIONS]")]


def run_app(
    port: Port = None,
    address: Annotated[
        str | None, typer.Option(help="Address to listen at; by default this machine only (localhost).")
    ] = None,
    home: HomeFolder = None,
    model: OwnModels = None,
    lean: Lean = False,
    sign_in: Annotated[
        bool,
        typer.Option("--sign-in", help="People sign in by OpenID Connect, as .streamlit/secrets.toml says."),
    ] = False,
    members_only: Annotated[
        bool, typer.Option("--members-only", help="Who is not signed in sees nothing; else they may look.")
    ] = False,
    manager_claim: Annotated[
        list[str] | None,
        typer.Option(metavar="CLAIM=VALUE", help="Who has it manages, as in groups=teacher; repeatable."),
    ] = None,
    manager: Annotated[
        list[str] | None,
        typer.Option(metavar="'ISSUER SUBJECT'", help="Somebody who manages; repeatable."),
    ] = None,
    streamlit_options: StreamlitOptions = None,
) -> None:
    """Replace this process by Streamlit's, so that signals and the exit code are the app's own."""
    start = prepare(port, address, home, model)
    if lean:
        start.environment[LEAN_VARIABLE] = "1"
    if sign_in:
        start.environment[VARIABLE] = _policy(not members_only, manager_claim or [], manager or []).write()
        start.settings.update(SHARED)
    elif members_only or manager_claim or manager:
        raise ValueError("--members-only, --manager-claim and --manager say who may what; add --sign-in.")
    launch(start, streamlit_options)


def _policy(guests: bool, claims: Sequence[str], managers: Sequence[str]) -> SignIn:
    """Build the sign-in policy.

    Raises:
        ValueError: Authlib is missing, or an argument is malformed.
    """
    if importlib.util.find_spec("authlib") is None:
        raise ValueError("Signing in needs Authlib: pip install 'cnnviz[auth]'.")
    wrong = next((name for name in managers if len(name.split()) != 2), None)
    if wrong is not None:
        raise ValueError(f"--manager takes issuer and subject, as 'https://id.example ada', not {wrong!r}.")
    return SignIn(guests, tuple(pairs(claims, "groups=teacher").items()), tuple(managers))


class Start(NamedTuple):
    """Streamlit's options and the process environment to start the app with."""

    settings: dict[str, str]
    environment: dict[str, str]


def prepare(port: int | None, address: str | None, home: Path | None, model: Sequence[str] | None) -> Start:
    """Validate the arguments and register the user's networks.

    Raises:
        ValueError: An argument is invalid.
        OSError: The home folder cannot be created.
    """
    if not paths.APP.is_file():
        raise ValueError("The app's files are missing from this installation; install cnnviz anew.")
    for name in model or []:  # Its code runs here and in the app, because it was named here.
        for note in registration.add(name).notes:
            typer.echo(f"cnnviz: {note}", err=True)
    environment = dict(os.environ)
    if home is not None:
        environment["CNNVIZ_HOME"] = str(_make_home(home))
    return Start(_settings(port, address, environment), environment)


def launch(start: Start, streamlit_options: Sequence[str] | None) -> None:
    """Replace this process by Streamlit's."""
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(paths.APP)]
    command += [f"--{name}={value}" for name, value in start.settings.items()]
    sys.stdout.flush()
    os.execve(sys.executable, [*command, *(streamlit_options or [])], start.environment)


def _settings(port: int | None, address: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Return options of `streamlit run`, without those that an environment variable of Streamlit sets."""
    host = address or environment.get(_variable("server.address")) or LOCALHOST
    given = port or environment.get(_variable("server.port"))
    settings = {name: value for name, value in SETTINGS.items() if _variable(name) not in environment}
    return settings | {"server.address": host, "server.port": str(_free_port(host, given))}


def _variable(name: str) -> str:
    """Return Streamlit's environment variable of an option: `STREAMLIT_SERVER_BASE_URL_PATH`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace(".", "_"))
    return f"STREAMLIT_{words.upper()}"


def _free_port(host: str, given: int | str | None) -> int:
    """Return the given port, or the first free one.

    Raises:
        ValueError: The given port, or every port tried, cannot be bound.
    """
    if given is not None:
        if not (str(given).isascii() and str(given).isdigit() and 0 < int(given) < 65536):
            raise ValueError(f"STREAMLIT_SERVER_PORT is a number from 1 to 65535, not {given!r}.")
        problem = _problem(host, int(given))
        if problem:
            raise ValueError(f"Port {given} of {host} cannot be listened at: {full_stop(problem)}")
        return int(given)
    problem = ""
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        problem = _problem(host, port)
        if not problem:
            return port
    raise ValueError(f"No port of {host} can be listened at: {full_stop(problem)}")


def _problem(host: str, port: int) -> str:
    """Return why a port cannot be bound; empty if it can."""
    try:
        family, kind, _, _, socket_address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(socket_address)
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _make_home(folder: Path) -> Path:
    """Return the folder as an absolute path, creating it if needed.

    Raises:
        ValueError: The path is a file.
        OSError: The folder cannot be created.
    """
    path = folder.expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise ValueError(f"--home takes a folder, and {folder} is a file.")
    path.mkdir(parents=True, exist_ok=True)
    return path


EVERYWHERE = "0.0.0.0"
MAX_UPLOAD_MB = 100


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
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print address, code and the teacher's link as a line of JSON."),
    ] = False,
    streamlit_options: StreamlitOptions = None,
) -> None:
    """Open the class, print its links and join code, and replace this process by Streamlit's."""
    _check_hosts(host or [])
    start = prepare(port, address, home, model)
    start.settings.update(SHARED)
    start.settings.setdefault("server.headless", "true")
    start.settings.setdefault("server.maxUploadSize", str(MAX_UPLOAD_MB))
    folder = Path(start.environment.get("CNNVIZ_HOME") or data_home())
    opened = Classroom(folder / classroom.FILE)
    if not opened.hold():
        raise ValueError(
            f"A class is open already in {folder}: end that program first, or give this one another --home."
        )
    key = opened.open(hours)
    opened.release()  # The app holds it.
    start.environment[classroom.PATH_VARIABLE] = str(opened.path)
    start.environment[classroom.HOSTS_VARIABLE] = ",".join(host or [])
    if lean:
        start.environment[LEAN_VARIABLE] = "1"
    url = _url(start.settings, host or [], address, streamlit_options or [])
    # Otherwise Streamlit asks another site for this machine's address on the internet, and prints that too.
    start.settings["browser.serverAddress"] = urlsplit(url).hostname or LOCALHOST
    start.environment[classroom.URL_VARIABLE] = url
    if as_json:
        state = opened.state
        links = {"url": url, "code": grouped(state.code), "expires": state.expires}
        typer.echo(json.dumps({**links, "teacher": teacher_link(url, key)}))
    else:
        _print_links(url, opened, key)
    launch(start, streamlit_options)


def _check_hosts(names: Sequence[str]) -> None:
    """Raise `ValueError` for what is no host name: an address with scheme, port or path."""
    for name in names:
        if re.fullmatch(r"[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)*\.?", name) is None:
            raise ValueError(
                f"--host takes a name alone, such as cnn.school.example, not {name[:80]!r}; --port and "
                "-- --server.baseUrlPath say the rest."
            )


def _print_links(url: str, opened: Classroom, key: str) -> None:
    state = opened.state
    typer.echo(
        f"\nThe class is open at  {url}\n"
        f"Join code             {grouped(state.code)}   until {format_expiry(state)}\n"
    )
    segno.make(join_link(url, state), error="m").terminal(compact=True)
    typer.echo(
        "\nThe teacher's link, printed once. Whoever has it sees and stops everybody's runs:\n"
        f"  {teacher_link(url, key)}\n"
    )
    if url.startswith("http:"):
        typer.echo(
            "Plain http: whoever is on the same network can read what is sent; docs/class.md says how to use "
            "https.\n"
        )


def _url(settings: dict[str, str], hosts: list[str], address: str, options: list[str]) -> str:
    """Return the URL that students type: the first given host name, else this machine's network address."""
    secure = bool(_given("server.sslCertFile", settings, options))
    scheme, port = ("https" if secure else "http"), _given("server.port", settings, options)
    name = hosts[0] if hosts else (_network_address() if address in (EVERYWHERE, "::") else address)
    base = _given("server.baseUrlPath", settings, options).strip("/")
    shown = f"[{name}]" if ":" in name and "]" not in name and not hosts else name
    return f"{scheme}://{shown}:{port}" + (f"/{base}" if base else "")


def _given(name: str, settings: Mapping[str, str], options: Sequence[str]) -> str:
    """Return what Streamlit will take an option for: the last of its options, else a setting or variable.

    Options are given as `--name=value` or as `--name value`.
    """
    found = settings.get(name) or os.environ.get(_variable(name)) or ""
    for position, option in enumerate(options):
        if option == f"--{name}":
            found = next(iter(options[position + 1 :]), "")
        elif option.startswith(f"--{name}="):
            found = option.partition("=")[2]
    return found


def _network_address() -> str:
    return next(iter(network_addresses()), "127.0.0.1")
