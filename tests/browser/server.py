"""Starts the app as a person does (`streamlit run app.py`) on a free port, with a CNNVIZ_HOME of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
TRACE = "Traceback (most recent call last):"
GONE = "starlette.websockets.WebSocketDisconnected"


@dataclass(frozen=True)
class Server:
    """A running app.

    Attributes:
        url: Its address, without a slash at the end.
        home: Its CNNVIZ_HOME.
        log: The file with everything it printed.
    """

    url: str
    home: Path
    log: Path

    def traced(self, since: int) -> str:
        """What the app has printed after so many characters, if an exception's trace is in it.

        That a window was gone before the server had heard of it is no fault of a page.
        """
        printed = self.printed()[since:]
        return printed if any(GONE not in trace for trace in printed.split(TRACE)[1:]) else ""

    def printed(self) -> str:
        """Return what the app has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def serve(folder: Path, script: str = "app.py", models: Sequence[str] = ()) -> Iterator[Server]:
    """Run the app, or another script, with all it writes under `folder`, from its first healthy answer on.

    With `models`, networks as `net.py:Net`, it is started as `cnnviz app --model net.py:Net`.

    Raises:
        RuntimeError: it ended, or did not answer within START_SECONDS; with what it printed.
    """
    port = _free_port()
    home = folder / "cnnviz-home"
    home.mkdir(parents=True, exist_ok=True)
    server = Server(f"http://localhost:{port}", home, folder / "server.log")
    command = [sys.executable, "-m", "streamlit", "run", script]
    command += ["--server.headless=true", f"--server.port={port}"]
    if models:
        named = (part for name in models for part in ("--model", name))
        command = [sys.executable, "-m", "cnnviz", "app", f"--port={port}", *named, "--"]
        command += ["--server.headless=true"]
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "CNNVIZ_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_health(server, process, START_SECONDS * (3 if models else 1))
        yield server
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(server: Server, process: subprocess.Popen[bytes], seconds: float = START_SECONDS) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / POLL_SECONDS)):
        if process.poll() is not None:
            raise RuntimeError(f"the app ended with {process.returncode}:\n{server.printed()}")
        if _healthy(server):
            return
        pause.wait(POLL_SECONDS)
    raise RuntimeError(f"the app did not answer within {seconds:.0f} s:\n{server.printed()}")


def _healthy(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=START_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
