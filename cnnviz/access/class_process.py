"""Process of a class: `cnnviz class` started as a child of another app, and the record of the one that runs.

The app of a class records itself in its home, so that every app of that home knows the class that is open. A
class that another app has opened ends with that app: it holds the other end of its standard input.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from cnnviz.access.classroom import FILE, HOSTS_VARIABLE, PATH_VARIABLE, Classroom
from cnnviz.access.principal import NotAllowedError, principal
from cnnviz.sentences import full_stop

POSIX = os.name == "posix"
"""Whether the command can become Streamlit's process without another process id."""
RECORD = "class-app.json"
"""File beside the class's: process and address of the app that runs the class."""
CHILD_VARIABLE = "CNNVIZ_CLASS_CHILD"
"""Set for a class that another app has opened."""
START_SECONDS = 180.0
"""Maximum time until the class answers; on a slow machine its imports take a minute."""
POLL_SECONDS = 0.2
TELL_SECONDS = 5.0
"""Time between closing the class and ending its app, in which students' pages learn of it."""
END_SECONDS = 10.0
"""Maximum time for the app to end by itself, before it is killed."""
SAME_SECONDS = 2.0
"""Maximum difference of two readings of a process's start, if the clock was adjusted."""
_OWN_OPTIONS = ("STREAMLIT_SERVER_PORT", "STREAMLIT_SERVER_ADDRESS", "STREAMLIT_BROWSER_SERVER_ADDRESS")
"""Variables that hold for the first app, whose port and address a second one cannot have."""


# The record of the running class.


@dataclass(frozen=True)
class RunningClass:
    """The app that runs a class: its process, and the address for students."""

    pid: int
    started: float
    """Start of the process (Unix timestamp), since PIDs are reused."""
    url: str


@contextmanager
def recorded(folder: Path, url: str) -> Iterator[None]:
    """Record this process as the app of the class in `folder` until the block ends."""
    path, pid = folder / RECORD, os.getpid()
    content = {"pid": pid, "started": psutil.Process(pid).create_time(), "url": url}
    temporary = path.with_suffix(f".{pid}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)
    try:
        yield
    finally:
        found = running(folder)
        if found is not None and found.pid == pid:
            path.unlink(missing_ok=True)


def running(folder: Path) -> RunningClass | None:
    """Return the class that runs in this home; None if there is none, or its process has ended."""
    try:
        content = json.loads((folder / RECORD).read_bytes())
        found = RunningClass(int(content["pid"]), float(content["started"]), str(content["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if _process(found) is None else found


def _process(found: RunningClass) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(found.pid)
        same = abs(process.create_time() - found.started) < SAME_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


# The child.


@dataclass(frozen=True)
class ClassLinks:
    """What `cnnviz class --json` prints."""

    url: str
    """Address for students."""
    teacher: str
    """The teacher's link, which is stored nowhere."""


class _Child:
    """`cnnviz class` as a child process; raises `OSError` if it cannot be started."""

    def __init__(self, folder: Path, hosts: Sequence[str], options: Sequence[str]) -> None:
        self.links: ClassLinks | None = None
        self.closing = False
        self._last: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            _command(folder, hosts, options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the first app, which ends this one.
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, name="class", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process, which stays the same when it becomes Streamlit's."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended, and all that it printed is read."""
        return not self._listener.is_alive()

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        line = next((line for line in reversed(self._last) if line.strip()), "")
        return full_stop(line.strip().removeprefix("cnnviz: ")) if line else ""

    def end(self) -> None:
        """End it and wait for its end."""
        self.closing = True
        with suppress(OSError):  # It has ended.
            self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(END_SECONDS)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        with self._process.stdout as lines, suppress(OSError, ValueError):
            for raw in lines:
                self._take(raw.decode(errors="replace").rstrip())
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()

    def _take(self, line: str) -> None:
        """Take the links from their line of JSON; all else is for the terminal of the first app."""
        if self.links is None and line.startswith("{"):
            with suppress(ValueError, KeyError):
                content = json.loads(line)
                self.links = ClassLinks(str(content["url"]), str(content["teacher"]))
                return
        if line:
            self._last.append(line)
            print(f"class: {line}", file=sys.stderr)


def _command(folder: Path, hosts: Sequence[str], options: Sequence[str]) -> list[str]:
    # `-P`: a file of that name in the current folder is not cnnviz.
    command = [sys.executable, "-P", "-m", "cnnviz", "class", "--json", f"--home={folder.resolve()}"]
    return [*command, *(f"--host={host}" for host in hosts), "--", *options]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OWN_OPTIONS}
    package = str(Path(__file__).parents[2])  # for one that is not installed
    path = os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path, CHILD_VARIABLE: "1", "PYTHONUNBUFFERED": "1"}


_child: _Child | None = None
_lock = threading.Lock()


def open_class(
    folder: Path, host: str, options: Sequence[str] = (), report: Callable[[str], None] = lambda _stage: None
) -> ClassLinks:
    """Start the app of a class on this home, and return its links once it answers.

    Args:
        folder: The home.
        host: Name or address by which students reach this machine.
        options: Further options of Streamlit, such as a certificate.
        report: Called repeatedly with what is waited for; an exception that it raises ends the class.

    Raises:
        NotAllowedError: The principal is not the local user, or this app is a class itself.
        ValueError: A class runs already, or this one did not start; one sentence.
        OSError: No process can be started.
    """
    global _child
    if not principal().manages or os.environ.get(PATH_VARIABLE):
        raise NotAllowedError("Only who has started the app opens it to a class, from this computer.")
    with _lock:
        if running(folder) is not None:
            raise ValueError(f"A class is open already in {folder}.")
        if _child is not None and not _child.ended:
            raise ValueError("The class is being opened already.")
        child = _child = _Child(folder, [host], options)
    try:
        return _await_answer(child, folder, report)
    except BaseException:
        child.end()
        raise


def _await_answer(child: _Child, folder: Path, report: Callable[[str], None]) -> ClassLinks:
    pause, deadline = threading.Event(), time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        report("The second app starts" if child.links is None else "The second app loads its pages")
        if child.ended:
            said = child.last_words or "It printed nothing."
            raise ValueError(f"The class could not be opened. {said}")
        if child.links is not None and running(folder) is not None and _answers(child.links.url):
            return child.links
        pause.wait(POLL_SECONDS)
    raise ValueError(f"The class could not be opened: it did not answer for {START_SECONDS:.0f} s.")


def _answers(url: str) -> bool:
    """Return whether the class's app answers on this machine."""
    parts = urlsplit(url)
    port = parts.port or 0
    if parts.scheme == "https":
        context = ssl.create_default_context()  # The certificate is for the name that students use.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=END_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=END_SECONDS)
    try:
        connection.request("GET", f"{parts.path}/_stcore/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def close_class(folder: Path, report: Callable[[str], None] = lambda _stage: None) -> None:
    """Close the class that runs in this home, whoever started it, and end its app, which frees the port.

    Students' pages have some seconds to learn of it, and the address of the class is gone after that.

    Raises:
        NotAllowedError: The principal is not the local user, or this app is a class itself.
        ValueError: The class's file cannot be read.
        OSError: It cannot be written.
    """
    if not principal().manages or os.environ.get(PATH_VARIABLE):
        raise NotAllowedError("Only who has started the app closes the class, from this computer.")
    found = running(folder)
    if found is None:
        return
    child = _child if is_child(found) else None
    if child is not None:
        child.closing = True
    Classroom(folder / FILE).close()
    pause, told = threading.Event(), time.monotonic() + TELL_SECONDS
    while time.monotonic() < told and running(folder) == found:
        report("Students are told, then the second app ends")
        pause.wait(POLL_SECONDS)
    if child is not None:
        child.end()
    else:
        _end(found)


def _end(found: RunningClass) -> None:
    with suppress(psutil.NoSuchProcess):
        process = _process(found)
        if process is not None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(END_SECONDS)


def end_child() -> None:
    """End the class that this process has opened, if it is still there; for the end of the app."""
    if _child is not None and not _child.ended:
        _child.end()


def is_child(found: RunningClass) -> bool:
    """Return whether this process has opened the class, which then ends with it."""
    return _child is not None and _child.pid == found.pid and not _child.ended


def how_child_ended() -> str:
    """Return the last line of a class of this process that ended although nobody closed it; else ""."""
    child = _child
    if child is None or child.closing or not child.ended or child.links is None:
        return ""
    return child.last_words or "It printed nothing."


def end_with_parent() -> None:
    """End this process, the app of a class, when the app that has opened it ends; in any way, also killed."""
    if os.environ.get(CHILD_VARIABLE):
        threading.Thread(target=_await_parent, name="parent", daemon=True).start()


def _await_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


# This machine's addresses.


def hosts() -> list[str]:
    """Return the names and addresses by which students can reach this machine, the likeliest first.

    Names come from CNNVIZ_CLASS_HOSTS, where somebody has set it.
    """
    names = [name.strip() for name in os.environ.get(HOSTS_VARIABLE, "").split(",")]
    return [*filter(None, names), *network_addresses()]


def network_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine that others can reach."""
    active = psutil.net_if_stats()
    return [
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        if name in active and active[name].isup and not name.startswith(("docker", "br-", "veth", "virbr"))
        for each in addresses
        if each.family.name == "AF_INET" and not each.address.startswith(("127.", "169.254."))
    ]
