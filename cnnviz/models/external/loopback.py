"""Client of `cnnviz.show`: networks that another process of the same user computes, over loopback.

Only JSON and float32 arrays are transferred, never pickled objects or code. The process that shows a network
writes a one-time ticket into CNNVIZ_HOME, which only this user can do; the app consumes it and reads from it
the port and the secret.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnnviz.models import registry
from cnnviz.models.external.onnx_network import DATA_ONLY, FAMILY
from cnnviz.models.spec import ModelSpec, Options, Shape
from cnnviz.paths import home

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
HEADER = "X-Cnnviz-Secret"
HOST = "127.0.0.1"
MAX_BYTES = 1 << 30
MAX_DESCRIPTION = 64 << 20
SECONDS = 60.0
FORMAT = "shown"
_TICKET = re.compile(r"[0-9a-f]{32}")


# Wire format: one line of JSON, then the bytes of the arrays.


def pack(facts: Mapping[str, Any], arrays: Sequence[Floats]) -> bytes:
    """Serialize facts and arrays."""
    head = json.dumps({**facts, "shapes": [list(array.shape) for array in arrays]}).encode()
    return b"".join([head, b"\n", *(np.ascontiguousarray(array, np.float32).tobytes() for array in arrays)])


def unpack(file: BinaryIO) -> tuple[dict[str, Any], list[Floats]]:
    """Deserialize what `pack` wrote.

    Raises:
        ValueError: Where the data is truncated or too large.
    """
    facts = json.loads(file.readline(MAX_DESCRIPTION))
    sizes = [4 * math.prod(shape) for shape in facts["shapes"]]
    if sum(sizes) > MAX_BYTES or any(size < 0 for size in sizes):
        raise ValueError("more arrays than are taken")
    arrays = []
    for shape, size in zip(facts["shapes"], sizes, strict=True):
        data = file.read(size)
        if len(data) != size:
            raise ValueError("cut off")
        arrays.append(np.frombuffer(data, np.float32).reshape(shape))
    return facts, arrays


# One-time tickets.


def tickets() -> Path:
    """Return the folder of tickets, readable by this user only; it is created where missing."""
    folder = home() / "show"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_ticket(port: int, secret: str) -> str:
    """Write a ticket with port and secret, and return its name."""
    name = secrets.token_hex(16)
    descriptor = os.open(tickets() / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"port": port, "secret": secret}, file)
    return name


def take_ticket(name: str) -> tuple[int, str]:
    """Consume a ticket and return its port and secret.

    Raises:
        ValueError: Where there is no such ticket.
    """
    if _TICKET.fullmatch(name) is None:
        raise ValueError("That is no ticket.")
    path = tickets() / name
    claimed = path.with_name(f".{name}.{os.getpid()}")
    try:
        path.rename(claimed)  # atomic: of two concurrent requests only one succeeds
        content = json.loads(claimed.read_text(encoding="utf-8"))
        return int(content["port"]), str(content["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError("There is no such ticket, or it was used already.") from None
    finally:
        with suppress(OSError):
            claimed.unlink(missing_ok=True)


# Client side (the app).


class Elsewhere:
    """Client of the process that computes a network's tensors."""

    def __init__(self, port: int, secret: str, title: str = "The network") -> None:
        self._port, self._secret, self.title = port, secret, title

    def __deepcopy__(self, memo: dict[int, Any]) -> Elsewhere:
        """Return the same object: copies of a network share the process."""
        return self

    def describe(self) -> dict[str, Any]:
        """Request the description of the network; raise `ValueError` where the process does not respond."""
        description: dict[str, Any] = self._ask({"do": "describe"})[0]["description"]
        return description

    def run(self, images: Floats, tensors: Sequence[str]) -> list[Floats]:
        """Compute the named tensors for images `(N, C, H, W)`.

        Raise `ValueError` where the process does not respond.
        """
        return self._ask({"do": "run", "names": list(tensors)}, [images])[1]

    def weights(self, names: Sequence[str]) -> list[Floats]:
        """Request parameters by name; raise `ValueError` where the process does not respond."""
        return self._ask({"do": "weights", "names": list(names)})[1]

    def ping(self) -> None:
        """Raise `ValueError` where the process no longer responds."""
        self._ask({"do": "ping"})

    def _ask(
        self, request: dict[str, Any], arrays: Sequence[Floats] = ()
    ) -> tuple[dict[str, Any], list[Floats]]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=SECONDS)
        try:
            connection.request("POST", "/", pack(request, arrays), {HEADER: self._secret})
            response = connection.getresponse()
            facts, results = unpack(response)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.title} was shown by a process that does not answer any more; call cnnviz.show again."
            ) from None
        finally:
            connection.close()
        if "refused" in facts:
            raise ValueError(str(facts["refused"]))
        return facts, results


def accept(ticket: str) -> ModelSpec:
    """Consume a ticket, list the network it leads to, and return its spec.

    Raises:
        ValueError: Where there is no ticket, no response, or an unknown description; one sentence.
    """
    elsewhere = Elsewhere(*take_ticket(ticket))
    description = elsewhere.describe()
    try:
        spec = _spec(description, elsewhere)
    except (KeyError, TypeError, IndexError):
        raise ValueError("What is shown is not described as this version describes it.") from None
    registry.add_shown(spec, int(description["bytes"]))
    return spec


def _spec(description: Mapping[str, Any], elsewhere: Elsewhere) -> ModelSpec:
    title = re.sub(r"[^A-Za-z0-9_-]", "-", str(description["title"]))[:60] or "network"
    elsewhere.title = title
    channels, height, width = (int(side) for side in description["input"]["shape"])
    return ModelSpec(
        name=f"{registry.SHOWN_PREFIX}{title}",
        title=title,
        family=FAMILY,
        year=0,
        summary="A network that another program of yours shows.",
        input_shape=(channels, height, width),
        classes=int(description["classes"]),
        builder=_Builder(elsewhere, description),
        notes=tuple(str(note)[:500] for note in description["notes"]),
        source="yours",
        tags=frozenset({DATA_ONLY}),
        edition=secrets.token_hex(16),
        description=description,
    )


class _Builder:
    """Builder of a described network whose tensors the other process computes."""

    def __init__(self, elsewhere: Elsewhere, description: Mapping[str, Any]) -> None:
        self._elsewhere, self._description = elsewhere, description

    def __call__(self, classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.external import network

        layers = {name: (f"in {name}", f"out {name}") for name in self._description["layers"]}
        weighted = {}
        for name, facts in self._description["weighted"].items():
            arrays = self._elsewhere.weights([f"{name}.{part}" for part in facts["parts"]])
            weighted[name] = (
                network.linear(arrays)
                if facts["type"] == "Linear"
                else network.convolution(
                    arrays, tuple(facts["stride"]), tuple(facts["padding"]), tuple(facts["dilation"]),
                    int(facts["groups"]),
                )
            )  # fmt: skip
        return network.OutsideNetwork(self._elsewhere, layers, "logits", weighted).eval()


# Address of the running app.


def announce(url: str) -> Path:
    """Write the address of an app to its home folder and return the file, which is to be deleted at exit."""
    folder = home() / "app"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.json"
    path.write_text(json.dumps({"url": url}), encoding="utf-8")
    return path


def running() -> str | None:
    """Return the address of a responding app that runs in this home, or None."""
    import urllib.request

    notes = sorted((home() / "app").glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    for note in notes:
        with suppress(OSError, ValueError, KeyError, TypeError):
            url = str(json.loads(note.read_text(encoding="utf-8"))["url"])
            if not url.startswith("http://"):
                continue
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as response:
                if response.status == 200:
                    return url
    return None
