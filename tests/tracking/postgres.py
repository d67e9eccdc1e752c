"""A PostgreSQL server of the tests' own: in a temporary folder, behind a socket, gone with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

START_SECONDS = 60
POLL_SECONDS = 0.05


def binaries() -> Path | None:
    """The folder of the newest server's programs, as Debian places them or on PATH; None without one."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    newest = max(found, key=lambda folder: int(folder.parent.name), default=None)
    on_path = shutil.which("initdb")
    return newest or (Path(on_path).parent if on_path else None)


class PostgresServer:
    """A server that can be killed and started again; it keeps what was committed.

    It refuses to run as root: then it is the unprivileged user that Debian's package, or every Unix, has. It
    ends when this process does, however that ends.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="cnnviz-postgres-"))
        self._as_user = ["setpriv", "--pdeathsig", "SIGQUIT"]
        user = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = "postgres" if "postgres" in names else "nobody"
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
            self._as_user += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]
        self.address = f"postgresql://cnnviz@/postgres?host={self._folder}"
        self._data = self._folder / "data"
        options = ["-U", "cnnviz", "-A", "trust", "-E", "UTF8", "--no-sync"]
        make: list[str] = [*self._as_user, str(programs / "initdb"), "-D", str(self._data), *options]
        subprocess.run(make, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)
        self._process = self._launch()
        self.start()

    def start(self) -> None:
        """Start it, if it is not there, and wait until it accepts connections.

        Processes of a server that was killed hold its memory for a moment: a start may be refused.
        """
        until, pause = time.monotonic() + START_SECONDS, threading.Event()
        ready = [str(self._programs / "pg_isready"), "-h", str(self._folder), "-q"]
        while self._process.poll() is not None or subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > until:
                log = (self._folder / "log").read_text()
                raise RuntimeError(f"The tests' PostgreSQL did not start:\n{log[-5_000:]}")
            if self._process.poll() is not None:
                self._process = self._launch()
            pause.wait(POLL_SECONDS)

    def kill(self, number: signal.Signals) -> None:
        """Send the server a signal, and wait until it has ended: SIGKILL, SIGQUIT at once, or SIGINT."""
        self._process.send_signal(number)
        self._process.wait()

    def backends(self) -> list[int]:
        """Its processes: one for each connection, and some of its own. If one is killed, all begin anew."""
        return [child.pid for child in psutil.Process(self._process.pid).children()]

    def close(self) -> None:
        """End it, at once: a polite signal waits for every client."""
        if self._process.poll() is None:
            self.kill(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self) -> subprocess.Popen[bytes]:
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"]
        program, data, folder = str(self._programs / "postgres"), str(self._data), str(self._folder)
        command = [*self._as_user, program, "-D", data, "-k", folder, *options]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, stderr=log)


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Start a server and yield the address of a database in it, to which a name is appended."""
    found = PostgresServer(programs)
    try:
        yield found.address
    finally:
        found.close()
