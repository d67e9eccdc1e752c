"""`cnnviz.show(module, input_size)`: open a network of this process in the app.

The app requests description, weights and activations from this process over loopback, as JSON and arrays,
authenticated by a shared secret. The network is copied when it is shown. No code of it leaves this process.
"""

from __future__ import annotations

import atexit
import hmac
import html
import inspect
import io
import json
import math
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.models.external import loopback

if TYPE_CHECKING:
    from torch import nn

START_SECONDS = 120.0
MAX_BYTES = loopback.MAX_BYTES


class Shown:
    """Handle of a shown network: `url` is its address; `wait` keeps a script from ending, `stop` ends it."""

    def __init__(self, url: str, server: ThreadingHTTPServer, app: subprocess.Popen[bytes] | None) -> None:
        self.url = url
        self._server, self._app = server, app
        atexit.register(self.stop)

    def __repr__(self) -> str:
        return f"<shown at {self.url} while this process runs>"

    def _repr_html_(self) -> str:
        address = html.escape(self.url)
        return f'<a href="{address}" target="_blank">{address}</a>, while this process runs'

    def wait(self) -> None:
        """Serve the app until Ctrl-C."""
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop serving, and terminate the app if this process started it."""
        self._server.shutdown()
        self._server.server_close()
        if self._app is not None and self._app.poll() is None:
            self._app.terminate()
            self._app.wait()
        atexit.unregister(self.stop)


def show(
    module: nn.Module,
    input_size: int | tuple[int, ...],
    *,
    name: str = "",
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Shown:
    """Show a network in the running app; without one, start it.

    Args:
        module: The network; the app shows it as it is now.
        input_size: `(C, H, W)`, `(H, W)` or a side; the channels default to the first layer's.
        name: Its title; by default the name of its class.
        classes: Class names, in the order of its outputs.
        mean: Channel means of the normalization it was trained with, for pixels from 0 to 1.
        std: Channel standard deviations of that normalization.

    Returns:
        A handle with the address, which is printed too.

    Raises:
        ValueError: In one sentence, for what is no network of one image, or cannot take such an input.
        RuntimeError: Where the app does not start, with its output.
    """
    described, model = _describe(module, input_size, name, classes, mean, std)
    server, secret = _serve(described, model)
    try:
        url, app = loopback.running(), None
        if url is None:
            url, app = _start(_file_of(module))
        ticket = loopback.write_ticket(server.server_address[1], secret)
        handle = Shown(f"{url}/architecture?model={_send_ticket(url, ticket)}", server, app)
    except BaseException:
        server.shutdown()
        server.server_close()
        raise
    print(f"Shown at {handle.url}, while this process runs.")
    return handle


def _describe(
    module: nn.Module, input_size: Any, name: str, classes: Sequence[str] | None, mean: Any, std: Any
) -> tuple[dict[str, Any], nn.Module]:
    """Return the description for the app, and the copy of the network that serves it."""
    import torch
    from torch import nn

    from cnnviz.analysis import analyze
    from cnnviz.analysis.core import is_several
    from cnnviz.analysis.precomputed import encode
    from cnnviz.inference.weights.weights_facts import WeightsFacts
    from cnnviz.interpret.layer_names import inner_layers, layers
    from cnnviz.models.meta_device import deep_copy
    from cnnviz.models.user_code.dry_run import describe, required_inputs

    if not isinstance(module, nn.Module):
        kind = module.__name__ if isinstance(module, type) else type(module).__name__
        hint = " (an object, not its class)" if isinstance(module, type) else ""
        raise ValueError(f"cnnviz.show takes a torch.nn.Module{hint}, not {kind}.")
    _check_kind(module)
    size = sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers())) * 4
    if size > MAX_BYTES:
        raise ValueError(f"The network has {size / 1e9:.1f} GB of weights; at most 1 GiB is shown.")
    inputs = required_inputs(module)
    if len(inputs) > 1 or is_several(input_size):
        several = f"; this one reads {len(inputs)}: {', '.join(inputs)}" if len(inputs) > 1 else ""
        raise ValueError(f"cnnviz.show takes a network that reads one image{several}.")
    analysis = analyze(module, input_size)
    if len(analysis.input_shape) != 3 or not analysis.classes:
        raise ValueError(
            "cnnviz.show takes a network that reads one image and gives a vector of logits; "
            f"this one reads {analysis.input_shape} and gives {analysis.graph.nodes[1].output_shape}."
        )
    if classes is not None and len(classes) != analysis.classes:
        raise ValueError(f"The network has {analysis.classes} outputs, and {len(classes)} classes are named.")
    channels, height, width = analysis.input_shape
    facts = WeightsFacts(mean=_per_channel("mean", mean, channels), std=_per_channel("std", std, channels))
    if bool(facts.mean) != bool(facts.std):
        raise ValueError("Normalization takes both: mean and std.")
    preprocessing = facts.preprocessing(channels, (height, width))
    model = deep_copy(module).cpu().float().eval().requires_grad_(False)
    file = _file_of(module)
    notes = ["It is shown by another program, as it was then, and not trained here."]
    if file:
        notes[0] += f" To train it, start the app with --model {file}."
    weighted: dict[str, dict[str, Any]] = {}
    for layer, part in model.named_modules():
        if type(part) is nn.Linear:
            weighted[layer] = {"type": "Linear", "parts": _parts(part)}
        elif type(part) is nn.Conv2d and not isinstance(part.padding, str):
            weighted[layer] = {
                "type": "Conv2d", "parts": _parts(part), "stride": part.stride, "padding": part.padding,
                "dilation": part.dilation, "groups": part.groups,
            }  # fmt: skip
    description = {
        "format": loopback.FORMAT,
        "title": name or type(module).__name__,
        "input": {"shape": list(analysis.input_shape)},
        "classes": analysis.classes,
        "analysis": encode(analysis),
        "layers": [layer.name for layer in (*layers(analysis), *inner_layers(analysis)) if layer.name],
        "weighted": {layer: layer_facts for layer, layer_facts in weighted.items() if layer},
        "bytes": size,
        "notes": notes,
        "metadata": {
            "cnnviz.classes": json.dumps(list(classes or ())),
            "cnnviz.preprocessing": preprocessing.model_dump_json() if preprocessing else "",
        },
    }
    try:  # Raise here, and not in the app, where the network cannot run.
        with torch.no_grad():
            model(torch.zeros(1, channels, height, width))
    except Exception as error:
        raise ValueError(f"{description['title']} cannot run on one image: {describe(error)}.") from None
    return description, model


def _per_channel(name: str, values: Sequence[float] | None, channels: int) -> tuple[float, ...]:
    """Return a number for each channel, or none; raise `ValueError` for anything else."""
    if values is None:
        return ()
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} takes a number for each channel, not {values!r:.60}.") from None
    if len(numbers) != channels:
        raise ValueError(f"{name} takes a number for each of the {channels} channels, not {len(numbers)}.")
    if not all(math.isfinite(number) for number in numbers) or (name == "std" and min(numbers) <= 0):
        raise ValueError(f"{name} takes finite numbers{', above 0' if name == 'std' else ''}: {numbers}.")
    return numbers


def _check_kind(module: nn.Module) -> None:
    """Raise `ValueError` for a network that cannot be copied and run as it is."""
    import torch
    from torch.nn.parameter import is_lazy

    tensors = (*module.parameters(), *module.buffers())
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError("A TorchScript module cannot be shown: give the module from before torch.jit.")
    if any(is_lazy(tensor) for tensor in tensors):
        raise ValueError("It has lazily shaped layers: pass a batch through the network before cnnviz.show.")
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError(
            "It has weights without values (device 'meta'): give them values before cnnviz.show."
        )


def _parts(layer: nn.Module) -> list[str]:
    return [name for name in ("weight", "bias") if layer._parameters.get(name) is not None]


def _file_of(module: nn.Module) -> str:
    """Return `path/net.py:Net` where the network's class is there and needs no arguments; else empty."""
    kind = type(module)
    source = inspect.getsourcefile(kind) if kind.__module__ != "__main__" else None
    if source is None or "." in kind.__qualname__ or "site-packages" in Path(source).parts:
        return ""
    needed = [
        parameter
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return "" if needed or not source.endswith(".py") else f"{source}:{kind.__qualname__}"


# Server of this process.


def _serve(description: dict[str, Any], model: nn.Module) -> tuple[ThreadingHTTPServer, str]:
    secret = secrets.token_hex(32)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            secret_header = self.headers.get(loopback.HEADER, "")
            length = self.headers.get("Content-Length", "")
            if not hmac.compare_digest(secret_header.encode(), secret.encode()):
                self.send_error(403)
                return
            if not length.isdigit() or int(length) > MAX_BYTES:
                self.send_error(413)
                return
            try:
                request, arrays = loopback.unpack(io.BytesIO(self.rfile.read(int(length))))
                body = _respond(description, model, request, arrays)
            except Exception as error:  # The app shows the message; this process goes on.
                body = loopback.pack({"refused": f"{description['title']}: {_first_line(error)}"}, [])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing into somebody's notebook."""

    server = ThreadingHTTPServer((loopback.HOST, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="cnnviz-show", daemon=True).start()
    return server, secret


def _respond(description: dict[str, Any], model: nn.Module, request: Any, arrays: list[Any]) -> bytes:
    import numpy as np
    import torch

    if request["do"] == "describe":
        return loopback.pack({"description": description}, [])
    if request["do"] == "ping":
        return loopback.pack({}, [])
    if request["do"] == "weights":
        known = dict(model.named_parameters())
        return loopback.pack({}, [known[name].detach().numpy() for name in request["names"]])
    from cnnviz.interpret.hooks import record_layers
    from cnnviz.models.user_code.dry_run import choose_output

    images = torch.from_numpy(np.array(arrays[0]))
    names = request["names"]
    layers = {name.partition(" ")[2] for name in names if name != "logits"}
    recorded = record_layers(model, images, layers) if layers else {}
    arrays_out = []
    for name in names:
        side, _, layer = name.partition(" ")
        if name == "logits":
            with torch.no_grad():
                value = choose_output(model(images), description["title"])[1]
        else:
            value = recorded[layer].inputs[0] if side == "in" else recorded[layer].output
        arrays_out.append(value.detach().cpu().float().numpy())
    return loopback.pack({}, arrays_out)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


# The app.


def _send_ticket(url: str, ticket: str) -> str:
    """Send the ticket to the app; return the network's name there."""
    request = urllib.request.Request(f"{url}/cnnviz-show/{ticket}", data=b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=loopback.SECONDS) as answer:
            return urllib.parse.quote(json.load(answer)["model"])
    except urllib.error.HTTPError as error:
        raise ValueError(error.read(2000).decode(errors="replace") or str(error)) from None


def _start(model: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Start an app that ends with this process; return its URL and process."""
    folder = loopback.tickets()
    log = folder / f"app-{os.getpid()}.log"
    command = [sys.executable, "-m", "cnnviz", "app", *(["--model", model] if model else [])]
    with log.open("wb") as file:
        app = subprocess.Popen(
            [*command, "--", "--server.headless", "true"], stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and app.poll() is None:
        url = loopback.running()
        if url is not None:
            return url, app
        time.sleep(0.2)
    if app.poll() is None:
        app.terminate()
    printed = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"The app did not start. It printed:\n{printed}")
