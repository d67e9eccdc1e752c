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

START_SECONDS = 60
POLL_SECONDS = 0.05


def binaries() -> Path | None:
    """The folder of the newest server's programs, as Debian places them or on PATH; None without one."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    newest = max(found, key=lambda folder: int(folder.parent.name), default=None)
    on_path = shutil.which("initdb")
    return newest or (Path(on_path).parent if on_path else None)


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Start a server and yield the address of a database in it, to which a name is appended.

    It refuses to run as root: then it is the unprivileged user that Debian's package, or every Unix, has. It
    ends when this process does, however that ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="cnnviz-postgres-"))
    as_user = ["setpriv", "--pdeathsig", "SIGQUIT"]
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        as_user += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]
    data = folder / "data"
    make = [programs / "initdb", "-D", data, "-U", "cnnviz", "-A", "trust", "-E", "UTF8", "--no-sync"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL}
    subprocess.run([*as_user, *make], check=True, **quiet)  # type: ignore[call-overload]
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", data, "-k", folder, *options], cwd=folder, stderr=log
        )
    try:
        _wait([programs / "pg_isready", "-h", folder, "-q"], process, folder / "log")
        yield f"postgresql://cnnviz@/postgres?host={folder}"
    finally:
        process.send_signal(signal.SIGQUIT)  # At once: a polite one waits for every client.
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(ready: list[Path | str], process: subprocess.Popen[bytes], log: Path) -> None:
    until, pause = time.monotonic() + START_SECONDS, threading.Event()
    while subprocess.run(ready, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"The tests' PostgreSQL did not start:\n{log.read_text()}")
        pause.wait(POLL_SECONDS)
