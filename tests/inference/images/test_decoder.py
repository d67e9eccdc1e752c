"""Decoders: one image costs the others nothing, neither their result nor much of their time."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz.inference.images import decoder as decoders
from cnnviz.inference.images.decoder import SHARED, Decoded, Decoder, DecoderPool
from tests.datasets.making import encoded, pixels


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    ours = Decoder()
    yield ours
    ours.close()


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is small."""
    monkeypatch.setattr(decoders, "SMALL_BYTES", 0)


def all_of(decoder: Decoder | DecoderPool, images: Sequence[bytes]) -> list[Decoded]:
    """Decode all groups."""
    decoded: list[Decoded] = []
    while len(decoded) < len(images):
        decoded += decoder.decode_group(images[len(decoded) :])
    return decoded


def test_a_group_is_decoded_in_order(decoder: Decoder) -> None:
    images = [pixels(seed, (9 + seed, 7)) for seed in range(20)]
    found = all_of(decoder, [encoded(image) for image in images])
    assert len(found) == 20
    for image, decoded in zip(images, found, strict=True):
        assert decoded.pixels is not None
        assert np.array_equal(decoded.pixels, image)
        assert not decoded.pixels.flags.writeable


@pytest.mark.usefixtures("one_by_one")
def test_a_group_ends_when_it_has_many_bytes(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "GROUP_BYTES", 2 * 30 * 30 * 3)
    monkeypatch.setattr(decoders, "GROUP_SECONDS", 600.0)
    images = [encoded(pixels(seed, (30, 30))) for seed in range(9)]
    # Two fill it, and the one sent ahead is on its way by then.
    assert [len(decoder.decode_group(images[start:])) for start in (0, 3, 6)] == [3, 3, 3]


@pytest.mark.usefixtures("one_by_one")
def test_a_group_ends_when_it_took_long(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "GROUP_SECONDS", 0.0)
    images = [encoded(pixels(seed)) for seed in range(3)]
    assert [len(decoder.decode_group(images[start:])) for start in range(3)] == [1, 1, 1]


@given(st.lists(st.sampled_from(("small", "wide", "large", "damaged", "no image", "long")), max_size=8))
@settings(max_examples=25)
def test_small_files_together_give_what_each_gives_alone(kinds: list[str]) -> None:
    files = {
        "small": encoded(pixels(1)),
        "wide": encoded(pixels(2, (40, 90)), "JPEG"),
        "large": encoded(Image.new("RGB", (800, 700))),  # a small file of many pixels
        "damaged": encoded(pixels(3))[:60],
        "no image": b"hello",
        "long": encoded(pixels(4, (300, 300)), "BMP"),  # a large file
    }
    assert len(files["large"]) < decoders.SMALL_BYTES < len(files["long"])
    found = all_of(SHARED, [files[kind] for kind in kinds])
    for kind, decoded in zip(kinds, found, strict=True):
        alone = SHARED.decode(files[kind])
        assert decoded.facts == alone.facts
        assert (decoded.pixels is None) is (kind in ("damaged", "no image"))
        if decoded.pixels is not None:
            assert alone.pixels is not None
            assert np.array_equal(decoded.pixels, alone.pixels)


def test_small_files_are_asked_for_at_once(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = decoders._Child.send

    def noted(child: decoders._Child, data: bytes) -> None:
        sent.append(data)
        send(child, data)

    monkeypatch.setattr(decoders._Child, "send", noted)
    images = [encoded(pixels(seed)) for seed in range(8)]
    assert len(decoder.decode_group(images)) == 8
    assert len(sent) == 1
    assert len(decoder.decode_group([*images, encoded(pixels(9, (600, 600)), "BMP")])) >= 1
    assert len(sent) > 2, "a large file among them: one by one"


@pytest.mark.parametrize("seconds", [600.0, 0.0], ids=["all at once", "one each call"])
def test_where_a_group_fails_each_is_decoded_alone(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    # Whatever ended the child: of a group it cannot be told which image did.
    read_line, failed = decoders._Child.read_line, list[str]()

    def dies_in_a_group(child: decoders._Child, deadline: float) -> bytes:
        line = read_line(child, deadline)
        if line.startswith(b"["):
            failed.append("group")
            raise EOFError
        return line

    monkeypatch.setattr(decoders._Child, "read_line", dies_in_a_group)
    monkeypatch.setattr(decoders, "GROUP_SECONDS", seconds)
    images = [pixels(seed) for seed in range(5)]
    found = all_of(decoder, [encoded(image) for image in images])
    assert failed == ["group"], "one wait, however many calls the rest take"
    for image, decoded in zip(images, found, strict=True):
        assert decoded.pixels is not None
        assert np.array_equal(decoded.pixels, image)


def test_requests_and_answers_larger_than_a_pipe_hold_up_neither_side(decoder: Decoder) -> None:
    images = [pixels(seed, (600, 700)) for seed in range(4)]
    files = [encoded(image, "BMP") for image in images]
    assert min(map(len, files)) > 1 << 20
    for image, decoded in zip(images, all_of(decoder, files), strict=True):
        assert decoded.pixels is not None
        assert np.array_equal(decoded.pixels, image)


def test_what_takes_too_long_is_stopped_and_the_next_is_read() -> None:
    slow = encoded(np.zeros((2600, 2600, 3), np.uint8) + 7, "WEBP", lossless=True)
    hurried = Decoder(seconds=0.0)
    try:
        assert hurried.decode(slow).facts == {"refused": "time"}
        hurried.seconds = 60.0
        assert hurried.decode(slow).pixels is not None
    finally:
        hurried.close()


def test_what_takes_too_much_memory_is_refused_and_the_next_is_read() -> None:
    small = Decoder(memory=200 << 20)
    try:
        large = encoded(Image.new("RGB", (6300, 6300)))
        first, second = all_of(small, [large, encoded(pixels(0))])
        assert first.facts["refused"] in ("memory", "damaged", "crashed")
        assert second.pixels is not None
    finally:
        small.close()


@pytest.mark.usefixtures("one_by_one")
def test_a_child_that_ends_under_an_image_costs_that_one_only(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = itertools.count()
    receive = Decoder._receive

    def killed(self: Decoder, child: decoders._Child) -> Decoded:
        if next(received) == 2:
            child.process.kill()
            child.process.wait()
            child._received.clear()
            raise EOFError
        return receive(self, child)

    monkeypatch.setattr(Decoder, "_receive", killed)
    monkeypatch.setattr(decoders, "GROUP_SECONDS", 600.0)
    images = [pixels(seed) for seed in range(6)]
    found = all_of(decoder, [encoded(image) for image in images])
    assert [decoded.facts.get("refused") for decoded in found] == [None, None, "crashed", None, None, None]
    for image, decoded in zip(images, found, strict=True):
        assert decoded.pixels is None or np.array_equal(decoded.pixels, image)


def test_a_dead_child_is_replaced(decoder: Decoder) -> None:
    assert decoder.decode(encoded(pixels(0))).pixels is not None
    child = decoder._child
    assert child is not None
    child.process.kill()
    child.process.wait()
    found = [decoder.decode(data).pixels for data in itertools.repeat(encoded(pixels(0)), 2)]
    assert all(part is not None for part in found)


def test_a_child_that_dies_unseen_is_said_and_the_next_image_is_read(decoder: Decoder) -> None:
    assert decoder.decode(encoded(pixels(0))).pixels is not None
    assert decoder._child is not None
    process = decoder._child.process
    process.kill()
    process.wait()
    process.poll = lambda: None  # type: ignore[method-assign]
    assert decoder.decode(encoded(pixels(0))).facts == {"refused": "crashed"}
    assert decoder.decode(encoded(pixels(0))).pixels is not None


class Held(Decoder):
    """Decoder that decodes when it is let go, and notes who came."""

    def __init__(self, order: list[bytes]) -> None:
        super().__init__()
        self.order, self.entered, self.go = order, threading.Semaphore(0), threading.Semaphore(0)

    def decode_group(self, images: Sequence[bytes]) -> list[Decoded]:
        self.order.append(images[0])
        self.entered.release()
        assert self.go.acquire(timeout=60)
        return [Decoded({}, None)]


def test_the_pool_serves_in_the_order_of_requests_and_lets_one_through_between_groups() -> None:
    pool, order = DecoderPool(size=1), list[bytes]()
    held = Held(order)
    pool._decoders = pool._idle = [held]
    with ThreadPoolExecutor(3) as threads:
        many = threads.submit(all_of, pool, [b"many 1", b"many 2"])
        assert held.entered.acquire(timeout=60)
        others: list[Future[Decoded]] = []
        for name in (b"second", b"third"):
            others.append(threads.submit(pool.decode, name))
            while len(pool._waiting) < len(others):
                threading.Event().wait(0.001)
        for _ in range(4):
            held.go.release()
        assert len(many.result(60)) == 2
        assert [other.result(60).facts for other in others] == [{}, {}]
    assert order == [b"many 1", b"second", b"third", b"many 2"]
    assert pool._idle == [held]


def test_one_slow_image_does_not_hold_up_another_visitor() -> None:
    pool = DecoderPool(size=2)
    held = Held([])
    pool._idle = [pool._decoders[0], held]
    try:
        with ThreadPoolExecutor(1) as threads:
            slow = threads.submit(pool.decode, b"slow")
            assert held.entered.acquire(timeout=60)
            assert pool.decode(encoded(pixels(0))).pixels is not None
            assert not slow.done()
            held.go.release()
            assert slow.result(60).facts == {}
    finally:
        pool.close()
