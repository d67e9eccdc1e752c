"""Result cache: an LRU cache of large function results within one byte budget for the whole process.

Streamlit limits each cached function by a count of its own, so that nothing limits them together. Large
results (images, feature maps, sprites, packets for the browser, networks) are kept here instead: when their
total exceeds the budget, the least recently used are evicted, whichever function they came from. Small ones
stay with `st.cache_data`. As with `st.cache_resource` all visitors get the very same object, so nobody may
modify it.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cnnviz.ui.shared.startup import LEAN_VARIABLE

P = ParamSpec("P")
R = TypeVar("R")

VARIABLE = "CNNVIZ_CACHE_MIB"
"""Environment variable that sets the budget in MiB, read when the app starts."""
DEFAULT_MIB = 512
"""Default on a machine with 16 GiB of memory or more; less on a smaller one."""
LEAN_MIB = 128
"""Default of an app that saves memory (`CNNVIZ_LEAN`), and the least on a small machine."""
SHARE = 32
"""Part of the machine's memory that is the default: a thirty-second."""
_SMALLEST = 64
"""Bytes that an entry counts for in addition to its value and its key."""

Key = tuple[str, Hashable]


@dataclasses.dataclass(frozen=True, eq=False)
class _Entry:
    value: Any
    weight: int


class ResultCache:
    """Thread-safe LRU cache of the results of several functions within one byte budget.

    Args:
        most_bytes: The budget. A single larger result is still kept until the next one is added, since the
            page
            that needs it would recompute it at every click.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._floors: dict[str, int] = {}
        self._total = 0
        self._lock = threading.Lock()
        self._working: dict[Key, threading.Lock] = {}

    @property
    def total_bytes(self) -> int:
        """Bytes of all entries."""
        return self._total

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()
            self._total = 0

    def cached(self, keep: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Return a decorator that caches the results of a function by its arguments.

        As with Streamlit, arguments whose names begin with an underscore are not part of the key; all others
        must be hashable. Exceptions are not cached. One thread computes a result while others that need it
        wait.

        Args:
            keep: Number of the function's most recently used results that are never evicted, for what a page
                shows
                several of and takes long to recompute.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            name = f"{function.__module__}.{function.__qualname__}"
            signature = inspect.signature(function)
            self._floors[name] = keep

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> R:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                key = (
                    name,
                    tuple(value for argument, value in bound.arguments.items() if argument[0] != "_"),
                )
                return self._get(key, lambda: function(*args, **kwargs))

            return call

        return decorate

    def _get(self, key: Key, work_out: Callable[[], R]) -> R:
        with self._lock:
            if key in self._entries:
                known: R = self._use(key)
                return known
            turn = self._working.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._entries:
                    meanwhile: R = self._use(key)
                    return meanwhile
            try:
                value = work_out()
                weight = weigh(value) + weigh(key[1]) + _SMALLEST
                with self._lock:
                    self._put(key, _Entry(value, weight))
            finally:
                with self._lock:
                    self._working.pop(key, None)
        return value

    def _use(self, key: Key) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key].value

    def _put(self, key: Key, entry: _Entry) -> None:
        before = self._entries.pop(key, None)
        self._total += entry.weight - (before.weight if before else 0)
        self._entries[key] = entry
        if self._total > self.most_bytes:
            for old in self._may_go():
                self._total -= self._entries.pop(old).weight
                if self._total <= self.most_bytes:
                    break

    def _may_go(self) -> list[Key]:
        """Return evictable keys, least recently used first.

        The newest entry and the functions' reserved results are not evictable.
        """
        used: dict[str, int] = {}
        free = []
        for index, key in enumerate(reversed(self._entries)):
            used[key[0]] = used.get(key[0], 0) + 1
            if index and used[key[0]] > self._floors.get(key[0], 0):
                free.append(key)
        return free[::-1]


def weigh(value: Any) -> int:
    """Estimate the memory of a value in bytes, counting shared objects once.

    Arrays and tensors count by their buffers, modules by their parameters and buffers, text and bytes by
    their length, dataclasses and containers by their contents. torch is not imported.
    """
    seen: set[int] = set()
    waiting = [value]
    total = 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        size, inner = _own_bytes(item)
        total += size
        waiting.extend(inner)
    return total


def _own_bytes(value: Any) -> tuple[int, Iterable[Any]]:
    """Return the bytes of a value without its contents, and its contents."""
    if isinstance(value, str | bytes | bytearray | int | float | complex | bool | type(None)):
        return sys.getsizeof(value), ()
    if isinstance(value, type) or inspect.isroutine(value):
        return 0, ()
    if callable(getattr(value, "state_dict", None)) and callable(getattr(value, "parameters", None)):
        return 0, [*value.parameters(), *value.buffers()]
    base = getattr(value, "base", None)
    if base is not None and hasattr(value, "nbytes"):
        # A view keeps its base alive.
        return sys.getsizeof(value, 0), (base,)
    if isinstance(nbytes := getattr(value, "nbytes", None), int):
        return nbytes, ()
    if isinstance(value, Mapping):
        return sys.getsizeof(value), [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return sys.getsizeof(value), value
    if dataclasses.is_dataclass(value):
        return sys.getsizeof(value), [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return sys.getsizeof(value, 0), list(getattr(value, "__dict__", {}).values())


def budget_bytes(environment: Mapping[str, str] = os.environ, memory_bytes: int | None = None) -> int:
    """Read the budget from `CNNVIZ_CACHE_MIB`; the default unless it is a positive integer.

    Args:
        environment: Environment variables.
        memory_bytes: Memory of the machine, or of the container where that is less; by default of this one.
    """
    text = environment.get(VARIABLE, "")
    if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 20:
        return int(text) << 20
    if environment.get(LEAN_VARIABLE):
        return LEAN_MIB << 20
    share = (_memory_bytes() if memory_bytes is None else memory_bytes) // SHARE
    return min(DEFAULT_MIB << 20, max(LEAN_MIB << 20, share))


def _memory_bytes() -> int:
    """Return the memory of the machine, or the limit of the control group (container) where that is less."""
    import psutil

    memory = int(psutil.virtual_memory().total)
    for file in CONTAINER_LIMITS:
        try:
            memory = min(memory, int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return memory


CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the limit in bytes, by Linux's control groups of version 2 and 1."""


RESULTS = ResultCache(budget_bytes())
"""The process-wide cache, shared by all visitors."""
