"""Opens one of the pages in this folder, and lets no error of its scripts pass."""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.chromium import DESKTOP, Look, Witness
from tests.browser.windows import Windows


@contextlib.contextmanager
def window(windows: Windows, url: str, look: Look = DESKTOP) -> Iterator[Page]:
    """A page at `url`.

    On its way out, errors of its scripts, requests to other machines and traces fail the test.
    """
    witness = Witness()
    page = windows.open(url, witness, look)
    yield page
    traces = page.get_by_test_id("stException").all_inner_texts()
    windows.leave(page, witness, look)
    assert not traces, "the page shows an exception"
    assert not witness.external
    assert not witness.errors
