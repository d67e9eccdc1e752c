"""The system's Chromium, kept from the network, and what a page did in it that it should not have."""

import os
import shutil
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    WebError,
    WebSocket,
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A camera that shows a moving test picture, and leave to use it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # Nothing but this machine has a name: a request that gets as far as the network fails there too.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
MISSING = (
    "These tests drive a Chromium and found none. Install one (Debian, Ubuntu: apt-get install chromium) "
    "or name it: CNNVIZ_CHROMIUM=/path/to/chromium"
)
# Opened at a page's own path, Streamlit's client seeks its server below that path first, then at the root.
PROBES = ("/_stcore/health", "/_stcore/host-config")


@dataclass(frozen=True)
class Look:
    """How a person looks at the app: the window's size in CSS pixels and the color scheme."""

    width: int = 1440
    height: int = 900
    scheme: Literal["light", "dark"] = "light"

    @property
    def touch(self) -> bool:
        """Whether a finger points: CSS then sees a coarse pointer."""
        return self.width < 500

    def __str__(self) -> str:
        """Name the look, for tests' ids and files."""
        return f"{self.width}-{self.scheme}"


DESKTOP = Look()
DESKTOP_DARK = Look(scheme="dark")
PHONE = Look(390, 844)
PHONE_DARK = Look(390, 844, "dark")
PROJECTOR = Look(1280, 720)
LOOKS = (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)


def find_chromium() -> str | None:
    """Return the Chromium to use: $CNNVIZ_CHROMIUM, or the first on PATH; None if there is none."""
    named = os.environ.get("CNNVIZ_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    return next((executable for name in names if (executable := shutil.which(name))), None)


def launch(playwright: Playwright, executable: str) -> Browser:
    """Start the browser without a window."""
    return playwright.chromium.launch(executable_path=executable, args=list(FLAGS))


@dataclass
class Witness:
    """Listens to every page of a context and remembers what none of them may do.

    Attributes:
        external: Addresses that were asked for and are not on this machine.
        errors: What the pages' scripts complained of.
    """

    external: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Begin to listen."""
        context.on("request", self._note_address)
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("page", self._note_sockets)
        for page in context.pages:
            self._note_sockets(page)

    def forget(self, context: BrowserContext) -> None:
        """Listen no more."""
        context.remove_listener("request", self._note_address)
        context.remove_listener("console", self._note_message)
        context.remove_listener("weberror", self._note_error)
        context.remove_listener("page", self._note_sockets)
        for page in context.pages:
            page.remove_listener("websocket", self._note_address)

    def _note_sockets(self, page: Page) -> None:
        page.on("websocket", self._note_address)

    def _note_error(self, error: WebError) -> None:
        self.errors.append(str(error.error))

    def _note_address(self, asked: Request | WebSocket) -> None:
        url = asked.url
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob", "about"} and parts.hostname not in LOCAL:
            self.external.append(url)

    def _note_message(self, message: ConsoleMessage) -> None:
        probe = urlsplit(message.location["url"]).path.endswith(PROBES)
        if message.type == "error" and not probe:
            self.errors.append(message.text)
