"""Networks that another process of the same user shows (`cnnviz.show`): asked for data over loopback.

What crosses is JSON and float32 arrays, never pickled objects or code. Whoever shows a network writes a
one-time ticket into CNNVIZ_HOME, which only this user can do; the app takes it away and learns from it where
to ask, and with which secret.
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

from cnnviz.models.library import home
from cnnviz.models.outside import handed
from cnnviz.models.outside.onnx_network import DATA_ONLY, FAMILY
from cnnviz.models.spec import ModelSpec, Options, Shape

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
HEADER = "X-Cnnviz-Secret"
HOST = "127.0.0.1"
MOST_BYTES = 1 << 30
MOST_DESCRIPTION = 64 << 20
SECONDS = 60.0
FORMAT = "shown"
_TICKET = re.compile(r"[0-9a-f]{32}")


# Arrays as they cross: a line of JSON, then their bytes.


def pack(facts: Mapping[str, Any], arrays: Sequence[Floats]) -> bytes:
    """Facts and arrays as bytes."""
    head = json.dumps({**facts, "shapes": [list(array.shape) for array in arrays]}).encode()
    return b"".join([head, b"\n", *(np.ascontiguousarray(array, np.float32).tobytes() for array in arrays)])


def unpack(file: BinaryIO) -> tuple[dict[str, Any], list[Floats]]:
    """The inverse of `pack`; raises `ValueError` for what is cut off or too large."""
    facts = json.loads(file.readline(MOST_DESCRIPTION))
    sizes = [4 * math.prod(shape) for shape in facts["shapes"]]
    if sum(sizes) > MOST_BYTES or any(size < 0 for size in sizes):
        raise ValueError("more arrays than are taken")
    arrays = []
    for shape, size in zip(facts["shapes"], sizes, strict=True):
        data = file.read(size)
        if len(data) != size:
            raise ValueError("cut off")
        arrays.append(np.frombuffer(data, np.float32).reshape(shape))
    return facts, arrays


# Tickets.


def tickets() -> Path:
    """The folder of tickets, which only this user can read."""
    folder = home() / "show"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_ticket(port: int, secret: str) -> str:
    """Write a ticket and return its name."""
    name = secrets.token_hex(16)
    descriptor = os.open(tickets() / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"port": port, "secret": secret}, file)
    return name


def take_ticket(name: str) -> tuple[int, str]:
    """Where to ask and with which secret; the ticket is gone then. Raises `ValueError` for none."""
    if _TICKET.fullmatch(name) is None:
        raise ValueError("That is no ticket.")
    path = tickets() / name
    claimed = path.with_name(f".{name}.{os.getpid()}")
    try:
        path.rename(claimed)  # of two that ask at once, one gets it
        content = json.loads(claimed.read_text(encoding="utf-8"))
        return int(content["port"]), str(content["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError("There is no such ticket, or it was used already.") from None
    finally:
        with suppress(OSError):
            claimed.unlink(missing_ok=True)


# The app's side.


class Elsewhere:
    """The process that shows a network, as one that computes its tensors."""

    def __init__(self, port: int, secret: str, title: str = "The network") -> None:
        self._port, self._secret, self.title = port, secret, title

    def __deepcopy__(self, memo: dict[int, Any]) -> Elsewhere:
        """The same: a copy of a network asks the same process."""
        return self

    def describe(self) -> dict[str, Any]:
        """What the network is; raises `ValueError`."""
        description: dict[str, Any] = self._ask({"do": "describe"})[0]["description"]
        return description

    def run(self, images: Floats, tensors: Sequence[str]) -> list[Floats]:
        """The tensors of that name for images `(N, C, H, W)`; raises `ValueError`."""
        return self._ask({"do": "run", "names": list(tensors)}, [images])[1]

    def weights(self, names: Sequence[str]) -> list[Floats]:
        """Parameters by name; raises `ValueError`."""
        return self._ask({"do": "weights", "names": list(names)})[1]

    def ping(self) -> None:
        """Raise `ValueError` where the process has gone."""
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
    """List the network that a ticket leads to; its spec. Raises `ValueError` in one sentence."""
    elsewhere = Elsewhere(*take_ticket(ticket))
    description = elsewhere.describe()
    try:
        spec = _spec(description, elsewhere)
    except (KeyError, TypeError, IndexError):
        raise ValueError("What is shown is not described as this version describes it.") from None
    handed.show(spec, int(description["bytes"]))
    return spec


def _spec(description: Mapping[str, Any], elsewhere: Elsewhere) -> ModelSpec:
    title = re.sub(r"[^A-Za-z0-9_-]", "-", str(description["title"]))[:60] or "network"
    elsewhere.title = title
    channels, height, width = (int(side) for side in description["input"]["shape"])
    return ModelSpec(
        name=f"{handed.SHOWN}{title}",
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
    """Builds the network of a description, which the other process computes."""

    def __init__(self, elsewhere: Elsewhere, description: Mapping[str, Any]) -> None:
        self._elsewhere, self._description = elsewhere, description

    def __call__(self, classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.outside import network

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


# Where the app of this home runs.


def announce(url: str) -> Path:
    """Note the address of an app in its home; the note, to be deleted at its end."""
    folder = home() / "app"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.json"
    path.write_text(json.dumps({"url": url}), encoding="utf-8")
    return path


def running() -> str | None:
    """The address of an app that runs in this home and answers; None where there is none."""
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
