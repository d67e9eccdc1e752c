"""The small parent beside each worker: waits for it, and writes down how it ended.

It outlives the app with a worker that trains, so that an app which starts later can read the signal and the
last lines; a worker that waits for work ends with the app. Run as a script, with nothing but the standard
library, it takes a few megabytes.

What comes on its input is one line, a JSON object with the run's `folder` and `attempt`; it is handed on to
the worker. On its output it tells `{"pid": …}` of the worker, and `{"died": code, "last_lines": …}` of one
that ended before it had work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any

EXIT_FILE = "exit.json"
KEPT_BYTES = 20_000
DRAIN_SECONDS = 2.0
"""How long to wait for the rest of the output: a child of the worker may hold it open for ever."""


class Tail:
    """The end of a stream, read in a thread of its own."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return what came last, once the stream has ended or `DRAIN_SECONDS` are over."""
        self._thread.join(DRAIN_SECONDS)
        return b"".join(self._chunks)[-KEPT_BYTES:].decode("utf-8", "replace")

    def _read(self) -> None:
        while chunk := os.read(self._stream.fileno(), 65_536):
            self._chunks.append(chunk)
            self._size += len(chunk)
            while self._size - len(self._chunks[0]) >= KEPT_BYTES:
                self._size -= len(self._chunks.popleft())


class Desk:
    """Takes the order for the worker; without one, the worker goes when whoever would give it has gone."""

    def __init__(self, worker: subprocess.Popen[bytes]) -> None:
        self.order: dict[str, Any] | None = None
        self._worker = worker
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            self._worker.kill()
            return
        self.order = json.loads(line)
        os.dup2(2, 1)  # The supervisor need not listen any longer.
        entrance = self._worker.stdin
        if entrance is not None:
            try:
                entrance.write(line)
                entrance.close()
            except OSError:
                return  # It is dead already, which its end tells.


def write_ending(order: dict[str, Any], code: int, last_lines: str) -> None:
    """Leave the exit code (minus the signal's number) and the last lines in the run's folder."""
    folder = Path(order["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    ending = {"attempt": order["attempt"], "code": code, "last_lines": last_lines}
    temporary = folder / f".{EXIT_FILE}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(ending), encoding="utf-8")
    temporary.replace(folder / EXIT_FILE)


def main(command: list[str]) -> None:
    """Start the worker and wait for its end."""
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert worker.stderr is not None
    tail, desk = Tail(worker.stderr), Desk(worker)
    _tell({"pid": worker.pid})
    code = worker.wait()
    if desk.order is None:
        _tell({"died": code, "last_lines": tail.text()})
    elif code != 0:
        write_ending(desk.order, code, tail.text())
    os._exit(0)  # A thread may still wait for input.


def _tell(message: dict[str, Any]) -> None:
    """Tell the supervisor, if there still is one."""
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
