"""Decoders: child processes that decode untrusted images in bounded memory and time, and a fair pool of them.

A decoder written in C can be neither interrupted nor limited within this process; decoding at a reduced scale
first (`draft`) is supported for JPEG only. So warm child processes decode (a start takes some 0.1 s); what
exceeds its memory fails there, what exceeds its time is killed with its child, and the next image gets a new
one.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.datasets import image_files

Pixels = NDArray[np.uint8]

MAX_PIXELS = 40_000_000
MAX_SECONDS = 20.0
"""Time limit of an image; the largest takes some 2 s on an idle core."""
MAX_MEMORY = 3 << 29
"""Memory limit in bytes: 40 million pixels need half a gigabyte to be decoded, converted and sent."""
GROUP_BYTES, GROUP_SECONDS = 8 << 20, 0.1
"""Bytes of pixels and seconds after which a group of images ends; then others get their turn."""
SMALL_BYTES = 64 << 10
"""Bytes of a file up to which a group is sent and answered at once: to tell each apart would take longer than
to decode it.
"""
SMALL_PIXELS = 256 * 256
"""Pixels of an image up to which it is decoded among others; a larger one gets memory and time of its own."""
DECODERS = max(2, min(4, os.cpu_count() or 1))
"""Child processes of the shared pool, at most; a second is started only while the first is busy."""
_CHILD = Path(__file__).with_name("decoder_worker.py")
_READ = 1 << 16


class Decoded(NamedTuple):
    """Response of the child; without `pixels` it refused, and `facts` contain the reason."""

    facts: dict[str, Any]
    pixels: Pixels | None
    """uint8 `(H, W, 3)`, or `(H, W, 4)` with alpha; read-only."""


class Decoder:
    """Child process that decodes one image after another; thread-safe."""

    def __init__(
        self, seconds: float = MAX_SECONDS, memory: int = MAX_MEMORY, pixels: int = MAX_PIXELS
    ) -> None:
        self.seconds, self._memory, self._pixels = seconds, memory, pixels
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._apart = 0
        """Images still to be decoded one by one, since the group that they were in ended the child."""

    def decode(self, data: bytes) -> Decoded:
        """Decode the first frame of an image; refused as `time`, `crashed`, or with the child's reason."""
        return self.decode_group([data])[0]

    def decode_group(self, images: Sequence[bytes]) -> list[Decoded]:
        """Decode images from the first on, as `decode`, until they are many bytes or have taken long.

        Small files go together first. The others, and all where that failed, are decoded one by one, and the
        child is sent one ahead, so that it never waits. What ends it costs one image, and ends the group.
        """
        with self._lock:
            decoded = self._decode_small(images)
            alone = [number for number, answer in enumerate(decoded) if answer is None]
            answers = self._decode_each([images[number] for number in alone])
            self._apart = max(0, self._apart - len(answers))
            for number, answer in zip(alone, answers, strict=False):
                decoded[number] = answer
            ended = decoded.index(None) if None in decoded else len(decoded)
            return [answer for answer in decoded[:ended] if answer is not None]

    def _decode_small(self, images: Sequence[bytes]) -> list[Decoded | None]:
        """Decode small images at once; None for one that is to be decoded alone."""
        nothing: list[Decoded | None] = [None] * len(images)
        together = 4 * SMALL_PIXELS * len(images) <= GROUP_BYTES
        if self._apart or len(images) < 2 or not together or max(map(len, images)) > SMALL_BYTES:
            return nothing
        deadline = time.monotonic() + self.seconds
        request = {"sizes": [len(data) for data in images], "most_pixels": min(self._pixels, SMALL_PIXELS)}
        try:
            child = self._running()
            child.send(json.dumps(request).encode() + b"\n" + b"".join(images))
            every: list[dict[str, Any]] = json.loads(child.read_line(deadline))
            pixels = memoryview(child.read(sum(facts["bytes"] for facts in every), deadline))
            start, decoded = 0, nothing
            for number, facts in enumerate(every):
                end = start + facts.pop("bytes")
                if facts.get("refused") != "pixels":
                    decoded[number] = _decoded(facts, pixels[start:end])
                start = end
            return decoded
        except (OSError, ValueError, EOFError):
            self._stop()
            self._apart = len(images)
            return [None] * len(images)

    def _decode_each(self, images: Sequence[bytes]) -> list[Decoded]:
        decoded: list[Decoded] = []
        sent, size, end = 0, 0, time.monotonic() + GROUP_SECONDS
        if not images:
            return decoded
        try:
            child = self._running()
            while True:
                while sent < min(len(images), len(decoded) + 2) and (
                    sent == 0 or (size < GROUP_BYTES and time.monotonic() < end)
                ):
                    self._send(child, images[sent])
                    sent += 1
                if len(decoded) == sent:
                    return decoded
                answer = self._receive(child)
                decoded.append(answer)
                size += 0 if answer.pixels is None else answer.pixels.nbytes
        except (OSError, ValueError, EOFError) as error:
            self._stop()
            refused = "time" if isinstance(error, TimeoutError) else "crashed"
            return [*decoded, Decoded({"refused": refused}, None)]

    def close(self) -> None:
        """End the child process; the next image starts another."""
        with self._lock:
            self._stop()

    def _running(self) -> _Child:
        if self._child is None or self._child.process.poll() is not None:
            self._stop()
            self._child = _Child([sys.executable, "-I", str(_CHILD), image_files.__file__, str(self._memory)])
        return self._child

    def _send(self, child: _Child, data: bytes) -> None:
        child.send(json.dumps({"bytes": len(data), "most_pixels": self._pixels}).encode() + b"\n")
        child.send(data)

    def _receive(self, child: _Child) -> Decoded:
        deadline = time.monotonic() + self.seconds
        facts: dict[str, Any] = json.loads(child.read_line(deadline))
        return _decoded(facts, child.read(facts.pop("bytes"), deadline))

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


def _decoded(facts: dict[str, Any], response: bytearray | memoryview) -> Decoded:
    if "refused" in facts:
        return Decoded(facts, None)
    width, height = facts["size"]
    pixels = np.frombuffer(response, np.uint8).reshape(height, width, facts["channels"])
    pixels.flags.writeable = False
    return Decoded(facts, pixels)


class _Child:
    """Process whose requests are written and answers read as they can be: neither waits for the other."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input, self._output = self.process.stdin.fileno(), self.process.stdout.fileno()
        for file in (self._input, self._output):
            os.set_blocking(file, False)
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._unsent: deque[memoryview] = deque()
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        """Append bytes to those that are written while an answer is awaited."""
        if data:
            self._unsent.append(memoryview(data))
            self._poll.register(self._input, select.POLLOUT)

    def read_line(self, deadline: float) -> bytes:
        """Read up to a newline; raise as `read`."""
        while (end := self._received.find(b"\n") + 1) == 0:
            self._await_output(deadline)
            part = os.read(self._output, _READ)
            if not part:
                raise EOFError
            self._received += part
        line = bytes(self._received[:end])
        del self._received[:end]
        return line

    def read(self, size: int, deadline: float) -> bytearray:
        """Read `size` bytes.

        Raises:
            TimeoutError: They are not there at `deadline`, a time of `time.monotonic`.
            OSError: The child has ended.
            EOFError: So has its output.
        """
        data, count = bytearray(size), min(size, len(self._received))
        data[:count] = self._received[:count]
        del self._received[:count]
        view = memoryview(data)
        while count < size:
            self._await_output(deadline)
            added = os.readv(self._output, [view[count:]])
            if not added:
                raise EOFError
            count += added
        return data

    def _await_output(self, deadline: float) -> None:
        while True:
            seconds = deadline - time.monotonic()
            ready = dict(self._poll.poll(1e3 * seconds)) if seconds > 0 else {}
            if not ready:
                raise TimeoutError
            # Output first: a child that has ended may have answered before.
            if self._output in ready:
                return
            written = os.write(self._input, self._unsent[0])
            self._unsent[0] = self._unsent[0][written:]
            if not self._unsent[0]:
                self._unsent.popleft()
            if not self._unsent:
                self._poll.unregister(self._input)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


class DecoderPool:
    """Pool of decoders that visitors share in the order of their requests.

    Who has many images queues anew for each group: somebody's slow images hold up nobody else while another
    decoder is free, and a thousand of them let a single one through.
    """

    def __init__(
        self,
        size: int = DECODERS,
        seconds: float = MAX_SECONDS,
        memory: int = MAX_MEMORY,
        pixels: int = MAX_PIXELS,
    ) -> None:
        self._decoders = [Decoder(seconds, memory, pixels) for _ in range(size)]
        self._idle = list(self._decoders)
        self._waiting: deque[Future[Decoder]] = deque()
        self._lock = threading.Lock()

    def decode(self, data: bytes) -> Decoded:
        """Decode an image as `Decoder.decode`."""
        return self.decode_group([data])[0]

    def decode_group(self, images: Sequence[bytes]) -> list[Decoded]:
        """Decode the first of the images as `Decoder.decode_group`."""
        with self._borrowed() as decoder:
            return decoder.decode_group(images)

    def close(self) -> None:
        """End the child processes; the next image starts another."""
        for decoder in self._decoders:
            decoder.close()

    @contextmanager
    def _borrowed(self) -> Iterator[Decoder]:
        turn: Future[Decoder] = Future()
        with self._lock:
            # The last one that was used, so that no second child is started without need.
            if self._idle:
                turn.set_result(self._idle.pop())
            else:
                self._waiting.append(turn)
        decoder = turn.result()
        try:
            yield decoder
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set_result(decoder)
                else:
                    self._idle.append(decoder)


SHARED = DecoderPool()
atexit.register(SHARED.close)
