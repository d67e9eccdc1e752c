"""Windows of the browser that are handed from test to test: to open one costs nearly as much as its page."""

from playwright.sync_api import Browser, Page

from tests.browser.chromium import DESKTOP, Look, Witness
from tests.browser.waiting import COUNT_RUNS, TIMEOUT_MS

TIDY = "localStorage.clear(); sessionStorage.clear()"


class Windows:
    """The windows of one browser, one of each look kept while nobody uses it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[Look, Page] = {}

    def open(self, url: str, witness: Witness, look: Look = DESKTOP) -> Page:
        """Go to `url` in a window of that look; `witness` hears what happens there until it is left."""
        page = self._free.pop(look, None) or self._new(look)
        witness.watch(page.context)
        page.goto(url)
        return page

    def leave(self, page: Page, witness: Witness, look: Look = DESKTOP, *, keep: bool = True) -> None:
        """Close the window, or keep it for the next test as if it were new, but for what its cache holds."""
        context = page.context
        if not keep or look in self._free or context.pages != [page] or not page.url.startswith("http"):
            context.close()
            return
        page.evaluate(TIDY)
        page.goto("about:blank")
        witness.forget(context)
        context.clear_cookies()
        page.set_viewport_size({"width": look.width, "height": look.height})
        self._free[look] = page

    def _new(self, look: Look) -> Page:
        context = self._browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            has_touch=look.touch,
            # What moves without end (a bar while the script runs) costs a core where no GPU draws it.
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(COUNT_RUNS)
        return context.new_page()
