"""`cnnviz.show` hands an app facts, weights and activations over loopback; a stranger gets nothing."""

from __future__ import annotations

import http.client
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.inference.weights import references
from cnnviz.interpret.hooks import activations
from cnnviz.models.external import loopback
from cnnviz.watching import show


class Block(nn.Module):
    """A convolution with a sum around it and an activation that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.conv(self.relu(x)))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), Block(), nn.Flatten(), nn.Linear(4 * 36, 3))


@pytest.fixture
def shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[nn.Module, models.ModelSpec, str]]:
    """A network, and what an app in this very process has of it, without a route."""
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path))
    module = network()
    described, model = show._describe(module, (1, 8, 8), "mine", ["a", "b", "c"], [0.5], [0.25])
    server, secret = show._serve(described, model)
    ticket = loopback.write_ticket(server.server_address[1], secret)
    yield module, loopback.accept(ticket), ticket
    server.shutdown()
    server.server_close()


def test_facts_weights_and_activations_are_the_module_s(
    shown: tuple[nn.Module, models.ModelSpec, str],
) -> None:
    module, spec, _ = shown
    assert spec.name == "shown/mine"
    assert models.get("shown/mine") is spec
    assert analyze("shown/mine").rows == analyze(module, (1, 8, 8)).rows
    loaded = references.load("fresh:shown/mine")
    assert (loaded.classes, loaded.trained) == (("a", "b", "c"), True)
    assert (loaded.preprocessing.mean, loaded.preprocessing.spread) == ((0.5,), (0.25,))
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(loaded.model(images), module.eval()(images))
    names = ["0", "1.conv", "1", "1.relu", "1.relu@2", "1:add", "3"]
    there, here = activations(loaded.model, images, names), activations(module, images, names)
    for name in names:
        torch.testing.assert_close(there[name], here[name])
    assert loaded.model.get_parameter("1.conv.weight").equal(module.get_parameter("1.conv.weight"))


def test_what_is_shown_is_as_it_was(shown: tuple[nn.Module, models.ModelSpec, str]) -> None:
    module, spec, _ = shown
    images = torch.ones(1, 1, 8, 8)
    before = models.build(spec)(images)
    with torch.no_grad():
        module.get_parameter("3.bias").fill_(9.0)
    assert models.build(spec)(images).equal(before)


def test_a_ticket_is_good_once_and_lies_where_only_the_user_reads(
    shown: tuple[nn.Module, models.ModelSpec, str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="was used already"):
        loopback.accept(shown[2])
    for wrong in ("../../etc/passwd", "0" * 32, ""):
        with pytest.raises(ValueError, match="ticket"):
            loopback.accept(wrong)
    path = tmp_path / "show" / loopback.write_ticket(1, "s")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_who_has_no_secret_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path))
    server, secret = show._serve(*show._describe(network(), (1, 8, 8), "", None, None, None))
    port = server.server_address[1]
    try:
        for header in ({}, {loopback.HEADER: secret[:-1]}, {loopback.HEADER: "ä"}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/", b"{}", {k: v.encode("latin-1") for k, v in header.items()})
            assert connection.getresponse().status == 403
            connection.close()
        assert server.server_address[0] == "127.0.0.1"
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(ValueError, match=r"does not answer any more; call cnnviz\.show again"):
        loopback.Elsewhere(port, secret, "mine").describe()


class Two(nn.Module):
    """A network of two images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 8)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (self.conv(left) - self.conv(right)).flatten(1)


class Locked(nn.Module):
    """A network with a part that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lock = nn.Conv2d(1, 3, 8), threading.Lock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).flatten(1)


class OnlyOnMeta(nn.Module):
    """A network that fails as soon as it reads values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_meta:
            raise KeyError("values")
        return self.conv(x).flatten(1)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network(), torch.zeros(1, 1, 8, 8))  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.parametrize(
    ("module", "size", "sentence"),
    [
        (Two(), (1, 8, 8), r"reads one image; this one reads 2: left, right\.$"),
        (Two(), [(1, 8, 8), (1, 8, 8)], r"reads one image; this one reads 2: left, right\.$"),
        (network(), [(1, 8, 8), (1, 8, 8)], r"reads one image\.$"),
        (Locked(), (1, 8, 8), "Locked cannot be copied: TypeError, cannot pickle '_thread.lock' object"),
        (
            OnlyOnMeta(),
            (1, 8, 8),
            r"OnlyOnMeta cannot run on one image: KeyError: 'values' \(test_show\.py, line",
        ),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), (1, 8, 8), "pass a batch through the network before"),
        (network().to("meta"), (1, 8, 8), "weights without values"),
        (scripted(), (1, 8, 8), r"give the module from before torch\.jit"),
        (nn.Linear, (1, 8, 8), r"an object, not its class"),
        (nn.Conv2d(1, 4, 3), (1, 8, 8), "gives a vector of logits"),
        (network(), (3, 8, 8), "3"),
    ],
)
def test_what_cannot_be_shown_is_said(module: nn.Module, size: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        show.show(module, size)


@pytest.mark.parametrize(
    ("mean", "std", "sentence"),
    [
        ([0.5], None, "takes both: mean and std"),
        ("x", [1.0], "mean takes a number for each channel, not 'x'"),
        (0.5, [1.0], "mean takes a number for each channel, not 0.5"),
        ([0.5, 0.5], [1.0], "mean takes a number for each of the 1 channels, not 2"),
        ([0.5], [0.0], "std takes finite numbers, above 0"),
    ],
)
def test_a_normalization_is_a_mean_and_a_deviation_per_channel(mean: Any, std: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        show.show(network(), (1, 8, 8), mean=mean, std=std)


def test_a_class_in_a_file_is_named_for_training() -> None:
    assert show._file_of(Block()) == f"{os.path.abspath(__file__)}:Block"
    assert show._file_of(nn.Linear(1, 1)) == ""
