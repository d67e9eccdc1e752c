"""What pages free goes back to the system, and what sessions leave is not kept because it was frozen."""

import ctypes
import gc
import platform
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from cnnviz.ui.shared import memory, startup

LONG = 60.0


@pytest.fixture(autouse=True)
def _collected_again() -> Iterator[None]:
    """What these tests freeze is collected again."""
    yield
    gc.unfreeze()


class _Session:
    """Holds itself, as Streamlit's sessions do through their callbacks."""

    def __init__(self) -> None:
        self.me = self


def test_what_a_session_leaves_is_freed_although_it_was_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()
    session = _Session()
    held = weakref.ref(session, lambda _: freed.set())
    monkeypatch.setattr(memory, "IDLE_SECONDS", (0.0,))
    with memory.trim_when_idle():
        startup._freeze()
        del session
        gc.collect()
        assert held() is not None, "frozen: no collection sees it"
        startup.page_drawn()
        assert freed.wait(LONG)
    assert gc.get_freeze_count(), "what is imported stays frozen"


def test_nothing_is_frozen_where_preloading_has_not_frozen() -> None:
    gc.unfreeze()
    memory.collect_frozen()
    assert gc.get_freeze_count() == 0


def test_freed_memory_is_returned_at_each_of_the_moments_after_the_last_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    returned = threading.Semaphore(0)
    monkeypatch.setattr(memory, "trim_heap", returned.release)
    monkeypatch.setattr(memory, "IDLE_SECONDS", (0.0, 0.001, 0.002))
    with memory.trim_when_idle():
        for _ in range(2):
            memory.page_drawn()
            for _ in memory.IDLE_SECONDS:
                assert returned.acquire(timeout=LONG)
    assert not returned.acquire(blocking=False)


def test_pages_that_follow_each_other_are_not_slowed_down_and_the_app_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    returned = threading.Semaphore(0)
    monkeypatch.setattr(memory, "trim_heap", returned.release)
    monkeypatch.setattr(memory, "IDLE_SECONDS", (10 * LONG,))
    with memory.trim_when_idle():
        memory.page_drawn()
        memory.page_drawn()
    assert not returned.acquire(blocking=False)
    assert "freed memory" not in [thread.name for thread in threading.enumerate()]


HEAPS = """
import ctypes, threading
from cnnviz.ui.shared import startup
startup._preload = lambda: None
startup.start().join()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
inside = threading.Barrier(9)
def work():
    libc.malloc(1000)
    inside.wait()
    inside.wait()
threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
[thread.start() for thread in threads]
inside.wait()
libc.fdopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
inside.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_few_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    done = subprocess.run([sys.executable, "-c", HEAPS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 1 <= done.stdout.count("<heap nr=") <= memory.ARENAS


@pytest.mark.parametrize("missing", [OSError, TypeError, AttributeError])
def test_another_c_library_is_left_alone(missing: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def library(name: None) -> object:
        raise missing

    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", library)
    memory.limit_arenas()
    memory.trim_heap()
