"""Parent process of each worker: waits for it, and writes its exit code and last output to a file.

It outlives the app together with a busy worker, so that an app started later can read the signal and the last
lines; an idle worker ends with the app. Run as a script with the standard library only, it takes a few
megabytes.

Each line on stdin is an order, a JSON object with the run's `folder` and `attempt`; it is forwarded to the
worker, which gets the next one only after it has sent `{"idle": true}`. On stdout it sends `{"pid": …}` of
the worker, forwards the worker's messages, and sends `{"died": code, "last_lines": …}` of a worker that ended
while idle.
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
"""Maximum wait for the remaining output, which a child of the worker may hold open forever."""


class Tail:
    """The last bytes of a stream, read in a thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return the last bytes as text, after the stream has ended or `DRAIN_SECONDS` have passed."""
        self._thread.join(DRAIN_SECONDS)
        with self._lock:
            return b"".join(self._chunks)[-KEPT_BYTES:].decode("utf-8", "replace")

    def clear(self) -> None:
        """Discard the output so far, which belongs to an earlier run."""
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


class Relay:
    """Forwards orders to the worker and its messages to the supervisor, and tracks the worker's run."""

    def __init__(self, worker: subprocess.Popen[bytes], tail: Tail) -> None:
        self.order: dict[str, Any] | None = None
        """Order of the worker's run; None while it is idle."""
        self._worker, self._tail = worker, tail
        self._words = threading.Thread(target=self._forward_messages, daemon=True)
        self._words.start()
        threading.Thread(target=self._hand_over, daemon=True).start()

    def drain(self) -> None:
        """Wait until all messages of the worker are forwarded, or `DRAIN_SECONDS` have passed."""
        self._words.join(DRAIN_SECONDS)

    def _hand_over(self) -> None:
        """Forward orders; when stdin is closed, kill an idle worker at once."""
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
            entrance.close()  # A busy worker ends after its run.
        except OSError:
            return  # It has already ended; its exit code is reported.

    def _forward_messages(self) -> None:
        assert self._worker.stdout is not None
        for line in self._worker.stdout:
            if is_idle(line):
                self.order = None  # Before the supervisor is told and sends the next one.
            _tell(line)


def is_idle(line: bytes) -> bool:
    """Return whether a worker's message says that it has finished its run and is idle."""
    try:
        message = json.loads(line)
    except ValueError:
        return False
    return isinstance(message, dict) and "idle" in message


def write_ending(order: dict[str, Any], code: int, last_lines: str) -> None:
    """Write the exit code (minus the signal's number) and the last lines to the run's folder."""
    folder = Path(order["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    ending = {"attempt": order["attempt"], "code": code, "last_lines": last_lines}
    temporary = folder / f".{EXIT_FILE}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(ending), encoding="utf-8")
    temporary.replace(folder / EXIT_FILE)


def main(command: list[str]) -> None:
    """Start the worker, wait for it, and report its end."""
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert worker.stderr is not None
    tail = Tail(worker.stderr)
    _tell(_line({"pid": worker.pid}))
    desk = Relay(worker, tail)
    code = worker.wait()
    desk.drain()
    if desk.order is None:
        _tell(_line({"died": code, "last_lines": tail.text()}))
    elif code != 0:
        write_ending(desk.order, code, tail.text())
    os._exit(0)  # A thread may still be blocked on stdin.


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _tell(line: bytes) -> None:
    """Write a line to stdout; ignore a supervisor that has ended."""
    try:
        os.write(1, line)
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
