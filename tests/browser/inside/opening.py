"""Opens one of the pages in this folder in a window of its own, and lets no error of its scripts pass."""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Browser, Page

from tests.browser.chromium import DESKTOP, Look, Witness
from tests.browser.waiting import TIMEOUT_MS


@contextlib.contextmanager
def window(chromium: Browser, url: str, look: Look = DESKTOP) -> Iterator[Page]:
    """A page at `url`; on its way out, errors of its scripts and requests to other machines fail the test."""
    witness = Witness()
    context = chromium.new_context(
        viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme, accept_downloads=True
    )
    context.set_default_timeout(TIMEOUT_MS)
    witness.watch(context)
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()
    assert not witness.external
    assert not witness.errors
