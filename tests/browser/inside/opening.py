"""Opens one of the pages in this folder in a window of its own, and lets no error of its scripts pass."""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Browser, Page

from tests.browser.chromium import DESKTOP, Look, Witness
from tests.browser.waiting import TIMEOUT_MS


@contextlib.contextmanager
def window(chromium: Browser, url: str, look: Look = DESKTOP, script: str = "") -> Iterator[Page]:
    """A page at `url`, `script` run before its own.

    On its way out, errors of its scripts, requests to other machines and traces fail the test.
    """
    witness = Witness()
    context = chromium.new_context(
        viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme, accept_downloads=True
    )
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(script)
    witness.watch(context)
    page = context.new_page()
    page.goto(url)
    yield page
    traces = page.get_by_test_id("stException").all_inner_texts()
    context.close()
    assert not traces, "the page shows an exception"
    assert not witness.external
    assert not witness.errors
