"""One budget of bytes over the results of all functions, whoever asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnnviz.ui.shared import result_cache
from cnnviz.ui.shared.result_cache import DEFAULT_MIB, LEAN_MIB, VARIABLE, ResultCache, budget_bytes, weigh
from cnnviz.ui.shared.startup import LEAN_VARIABLE


def made(cache: ResultCache, keep: int = 0) -> tuple[Callable[[int, int], bytes], list[int]]:
    """A function that gives so many bytes, and what it was called for."""
    calls: list[int] = []

    @cache.cached(keep)
    def give(number: int, size: int) -> bytes:
        calls.append(number)
        return bytes([number % 256]) * size

    return give, calls


@given(
    st.integers(200, 3_000),
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from([10, 300, 900, 5_000])), max_size=40
    ),
)
def test_all_functions_together_stay_within_the_budget(most: int, asked: list[tuple[bool, int, int]]) -> None:
    cache = ResultCache(most)
    (one, _), (other, _) = made(cache), made(cache)
    # Both are called `give` in the same place: to the cache they would be one function.
    other = cache.cached()(lambda number, size: bytes([255 - number]) * size)
    for first, number, size in asked:
        result = (one if first else other)(number, size)
        assert result == bytes([number if first else 255 - number]) * size
        assert cache.total_bytes <= most or len(cache) == 1
        assert cache.total_bytes == sum(entry.weight for entry in cache._entries.values())


@given(st.lists(st.integers(1, 7), max_size=60), st.integers(1, 6))
def test_what_was_used_longest_ago_goes_first(asked: list[int], room: int) -> None:
    measured = ResultCache(10_000)
    made(measured)[0](1, 1_000)
    cache = ResultCache(room * measured.total_bytes)
    give, calls = made(cache)
    kept: list[int] = []
    worked_out = []
    for number in asked:
        give(number, 1_000)
        if number in kept:
            kept.remove(number)
        else:
            worked_out.append(number)
        kept = [*kept, number][-room:]
    assert calls == worked_out
    assert [key[1][0] for key in cache._entries] == kept  # type: ignore[index]


def test_one_result_larger_than_the_budget_is_kept_until_the_next() -> None:
    cache = ResultCache(100)
    give, calls = made(cache)
    give(1, 5_000)
    give(1, 5_000)
    assert calls == [1]
    give(2, 10)
    assert len(cache) == 1
    give(1, 5_000)
    assert calls == [1, 2, 1]


def test_what_a_page_shows_two_of_may_keep_two() -> None:
    cache = ResultCache(100)
    two, calls = made(cache, keep=2)
    small = cache.cached()(lambda size: bytes(size))
    for number in (1, 2, 1, 2):
        two(number, 5_000)
        small(20)
    assert calls == [1, 2]
    two(3, 5_000)
    two(1, 5_000)
    assert calls == [1, 2, 3, 1]


def test_arguments_with_an_underscore_are_no_part_of_the_key_and_names_are_as_good_as_places() -> None:
    cache = ResultCache(10_000)
    seen: list[object] = []

    @cache.cached()
    def give(key: str, _value: list[int], more: int = 3) -> int:
        seen.append(_value)
        return more

    assert [give("a", [1]), give("a", [2]), give(key="a", _value=[3], more=3), give("a", [4], 4)] == [
        3,
        3,
        3,
        4,
    ]
    assert seen == [[1], [4]]


def test_what_raises_is_not_kept_and_nobody_waits_for_it() -> None:
    cache = ResultCache(10_000)
    tries: list[int] = []

    @cache.cached()
    def give() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 7

    with pytest.raises(ValueError, match="not yet"):
        give()
    assert give() == give() == 7
    assert len(tries) == 2


def test_threads_that_want_the_same_have_it_worked_out_once() -> None:
    cache = ResultCache(10_000)
    begun, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    @cache.cached()
    def give(number: int) -> list[int]:
        calls.append(number)
        begun.set()
        assert go_on.wait(60)
        return [number]

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(give, 1) for _ in range(4)]
        assert begun.wait(60)
        go_on.set()
        results = [one.result(60) for one in waiting]
    assert calls == [1]
    assert all(one is results[0] for one in results)
    assert not cache._working


def test_many_threads_keep_the_count_right() -> None:
    cache = ResultCache(5_000)
    give, _ = made(cache)

    def work(start: int) -> None:
        for number in range(200):
            assert len(give((start * number) % 17, 100 + number % 7)) == 100 + number % 7

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert cache.total_bytes == sum(entry.weight for entry in cache._entries.values()) <= 5_000
    cache.clear()
    assert (cache.total_bytes, len(cache)) == (0, 0)


@dataclass(frozen=True, eq=False)
class Holder:
    """Something that a page keeps."""

    values: np.ndarray
    name: str
    more: Any = None


ARRAY = np.zeros((100, 100), np.float32)


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (b"x" * 5_000, 5_000),
        (ARRAY, 40_000),
        (ARRAY[:2], 40_000),
        (torch.zeros(100, 100), 40_000),
        ([ARRAY, ARRAY, {"a": ARRAY}], 40_000),
        ((ARRAY, ARRAY.copy()), 80_000),
        (Holder(ARRAY, "a", (torch.zeros(10),)), 40_040),
        (nn.Sequential(nn.Linear(100, 100), nn.BatchNorm1d(100)), 4 * (10_100 + 400)),
        (Holder(ARRAY, "a", nn.Linear(100, 100)), 40_000 + 40_400),
        ({1, "two", None}, 0),
    ],
)
def test_values_weigh_what_their_numbers_take(value: object, least: int) -> None:
    assert least <= weigh(value) <= least + 4_000


def test_what_holds_itself_is_weighed_once() -> None:
    one: list[object] = [ARRAY]
    one.append(one)
    assert 40_000 <= weigh(one) <= 41_000


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("", DEFAULT_MIB),
        ("64", 64),
        ("0", DEFAULT_MIB),
        ("-3", DEFAULT_MIB),
        ("a lot", DEFAULT_MIB),
        ("²", DEFAULT_MIB),
    ],
)
def test_the_environment_sets_the_budget(text: str, mib: int) -> None:
    assert budget_bytes({VARIABLE: text}, 64 << 30) == mib << 20


def test_a_lean_app_keeps_less_unless_told_otherwise() -> None:
    assert budget_bytes({LEAN_VARIABLE: "1"}) == LEAN_MIB << 20 < DEFAULT_MIB << 20
    assert budget_bytes({LEAN_VARIABLE: "1", VARIABLE: "700"}) == 700 << 20


@pytest.mark.parametrize(("gib", "mib"), [(1, LEAN_MIB), (4, LEAN_MIB), (8, 256), (16, DEFAULT_MIB)])
def test_a_small_machine_keeps_less(gib: int, mib: int) -> None:
    assert budget_bytes({}, gib << 30) == mib << 20


@pytest.mark.parametrize(("written", "mib"), [("8589934592\n", 256), ("max\n", 512), (None, 512)])
def test_a_container_is_as_large_as_its_limit(
    written: str | None, mib: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    if written is not None:
        limit.write_text(written)
    monkeypatch.setattr(result_cache, "CONTAINER_LIMITS", (str(limit),))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64 << 30))
    assert budget_bytes({}) == mib << 20
