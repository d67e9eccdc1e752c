"""Foreign pictures are decoded by a child process: what bounds their memory and time, and survives them.

A decoder written in C can be neither interrupted nor bounded inside this process; asking it for a reduced
image first (`draft`) is JPEG's alone. So one warm child decodes (a start costs some 0.1 s, a picture a trip
through a pipe); what exceeds its memory fails there, what exceeds its time is killed with it, and the next
picture gets a fresh one.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import image_files
from cnnviz.inference.picture import Pixels

MOST_PIXELS = 40_000_000
MOST_SECONDS = 20.0
"""The largest picture takes some 2 s on an idle core."""
MOST_MEMORY = 3 << 29
"""Bytes: 40 million pixels need half a gigabyte where they are read, converted and sent."""
_CHILD = Path(__file__).with_name("decoder.py")


class Decoded(NamedTuple):
    """What the child said; without `pixels` it refused, and `facts` say why."""

    facts: dict[str, Any]
    pixels: Pixels | None
    """uint8 `(H, W, 3)`, or `(H, W, 4)` with opacity."""


class Decoder:
    """A child that decodes one picture after another; safe to share among threads."""

    def __init__(
        self, seconds: float = MOST_SECONDS, memory: int = MOST_MEMORY, pixels: int = MOST_PIXELS
    ) -> None:
        self.seconds, self._memory, self._pixels = seconds, memory, pixels
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes) -> Decoded:
        """The first frame of an encoded picture; refused as `time`, `crashed`, or what the child says."""
        with self._lock:
            child, late = self._running(), threading.Event()
            timer = threading.Timer(self.seconds, _kill, (child, late))
            timer.start()
            try:
                return self._exchange(child, data)
            except (OSError, ValueError):
                return self._failed(late.is_set())
            finally:
                timer.cancel()
                if late.is_set():
                    self._stop()

    def close(self) -> None:
        """End the child; the next picture starts another."""
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._stop()
            self._child = subprocess.Popen(
                [sys.executable, "-I", str(_CHILD), image_files.__file__, str(self._memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], data: bytes) -> Decoded:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps({"bytes": len(data), "most_pixels": self._pixels}).encode() + b"\n")
        child.stdin.write(data)
        child.stdin.flush()
        facts: dict[str, Any] = json.loads(child.stdout.readline())
        size = facts.pop("bytes")
        found = child.stdout.read(size)
        if len(found) != size:
            raise ValueError("The child ended in the middle.")
        if "refused" in facts:
            return Decoded(facts, None)
        width, height = facts["size"]
        return Decoded(facts, np.frombuffer(found, np.uint8).reshape(height, width, facts["channels"]))

    def _failed(self, late: bool) -> Decoded:
        self._stop()
        return Decoded({"refused": "time" if late else "crashed"}, None)

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _kill(child: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    child.kill()


SHARED = Decoder()
atexit.register(SHARED.close)
