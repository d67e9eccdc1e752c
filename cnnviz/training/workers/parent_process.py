"""The small parent beside each worker: waits for it, and writes down how it ended.

It outlives the app with a worker that trains, so that an app which starts later can read the signal and the
last lines; a worker that waits for work ends with the app. Run as a script, with nothing but the standard
library, it takes a few megabytes.

Each line on its input is an order, a JSON object with the run's `folder` and `attempt`; it is handed on to
the worker, which gets the next one only after it has said `{"idle": true}`. On its output it tells
`{"pid": …}` of the worker, hands on what the worker says, and tells `{"died": code, "last_lines": …}` of one
that ended while it had no run.
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
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return what came last, once the stream has ended or `DRAIN_SECONDS` are over."""
        self._thread.join(DRAIN_SECONDS)
        with self._lock:
            return b"".join(self._chunks)[-KEPT_BYTES:].decode("utf-8", "replace")

    def clear(self) -> None:
        """Forget what came so far: it belongs to an earlier run."""
        with self._lock:
            self._chunks.clear()
            self._size = 0

    def _read(self) -> None:
        while chunk := os.read(self._stream.fileno(), 65_536):
            with self._lock:
                self._chunks.append(chunk)
                self._size += len(chunk)
                while self._size - len(self._chunks[0]) >= KEPT_BYTES:
                    self._size -= len(self._chunks.popleft())


class Desk:
    """Hands orders to the worker and its words to the supervisor, and knows which run the worker has."""

    def __init__(self, worker: subprocess.Popen[bytes], tail: Tail) -> None:
        self.order: dict[str, Any] | None = None
        """Of the run that the worker has; None while it waits."""
        self._worker, self._tail = worker, tail
        self._words = threading.Thread(target=self._hand_back, daemon=True)
        self._words.start()
        threading.Thread(target=self._hand_over, daemon=True).start()

    def drain(self) -> None:
        """Return once all that the worker said was heard, or `DRAIN_SECONDS` are over."""
        self._words.join(DRAIN_SECONDS)

    def _hand_over(self) -> None:
        """Hand on orders; when whoever gives them has gone, a worker that waits goes too, at once."""
        entrance = self._worker.stdin
        assert entrance is not None
        try:
            while (line := sys.stdin.buffer.readline()).endswith(b"\n"):
                self._tail.clear()
                self.order = json.loads(line)
                entrance.write(line)
                entrance.flush()
            if self.order is None:
                self._worker.kill()
            entrance.close()  # One that has a run ends after it.
        except OSError:
            return  # It is dead already, which its end tells.

    def _hand_back(self) -> None:
        assert self._worker.stdout is not None
        for line in self._worker.stdout:
            if is_idle(line):
                self.order = None  # before the supervisor hears of it and gives the next one
            _tell(line)


def is_idle(line: bytes) -> bool:
    """Whether a worker says that it has ended its run and waits for the next."""
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and "idle" in said


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
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert worker.stderr is not None
    tail = Tail(worker.stderr)
    _tell(_line({"pid": worker.pid}))
    desk = Desk(worker, tail)
    code = worker.wait()
    desk.drain()
    if desk.order is None:
        _tell(_line({"died": code, "last_lines": tail.text()}))
    elif code != 0:
        write_ending(desk.order, code, tail.text())
    os._exit(0)  # A thread may still wait for input.


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _tell(line: bytes) -> None:
    """Tell the supervisor, if there still is one."""
    try:
        os.write(1, line)
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
