"""Diagnose in a browser: a run goes wrong, the hint, the reason, the change, the fixed run beside it."""

import re

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from tests.browser.chromium import Look
from tests.browser.conftest import Visit
from tests.browser.waiting import settle
from tests.diagnosis.runs import run_with_curves

PATIENCE_MS = 200_000
"""A worker imports torch first, on a machine that may be busy with other tests."""
NOBODYS = "cuda:9"
"""A device that no supervisor here has."""
CURVES = "[class*='st-key-diagnose-curves'] .room"
DRAWN = f'new Set(((document.querySelector("{CURVES}") || {{}}).data || []).map((trace) => trace.name)).size'


LISTEN = """() => {
  const send = WebSocket.prototype.send;
  window.__sent = [];
  window.__addresses = [];
  const push = history.pushState.bind(history);
  history.pushState = (state, title, address) => {
    window.__addresses.push(String(address));
    push(state, title, address);
  };
  WebSocket.prototype.send = function (data) {
    window.__sent.push([...data]);
    send.call(this, data);
    const tick = window.__tick;
    window.__tick = null;
    if (!tick) return;
    const here = location.pathname;
    let left = 30;
    this.addEventListener("message", () => {
      if (location.pathname === here && left-- > 0) send.call(this, new Uint8Array(tick));
    });
  };
}"""
"""Keeps what the browser sends. `__tick` is sent again at all that comes in answer to the next message."""


def number(page: Page) -> int:
    return int(re.findall(r"run=(\d+)", page.url)[0])


def tick_again(page: Page) -> None:
    """Have ticks of the page arrive while the next click is answered, as one may on a slow machine."""
    seen = 0
    while True:
        page.wait_for_function("(seen) => window.__sent.length > seen", arg=seen, timeout=PATIENCE_MS)
        sent = page.evaluate("window.__sent")
        ticks = [data for data in sent[seen:] if BackMsg.FromString(bytes(data)).rerun_script.is_auto_rerun]
        if ticks:
            tick = BackMsg.FromString(bytes(ticks[-1]))
            # What the client holds by now is not what it held when it sent this: the server sends all anew.
            tick.rerun_script.ClearField("cached_message_hashes")
            page.evaluate("(tick) => { window.__tick = tick; }", [*tick.SerializeToString()])
            return
        seen = len(sent)


def assert_left_by_itself(page: Page) -> None:
    """The browser asked for the next page itself, and then no more for a tick of the one it left.

    Such a tick is run under the old page's name, and the client throws away what it has drawn of the new one.
    """
    messages = [BackMsg.FromString(bytes(sent)).rerun_script for sent in page.evaluate("window.__sent")]
    asked = [message for message in messages if message.page_script_hash]
    left = asked[0].page_script_hash
    place = next(n for n, message in enumerate(asked) if message.page_script_hash != left)
    assert not asked[place].fragment_id
    assert left not in {message.page_script_hash for message in asked[place:]}


def test_a_failing_run_is_hinted_at_explained_mended_and_set_beside_its_copy(
    visit: Visit, runs: Database
) -> None:
    page = visit("train?set.lr=0.5&set.epochs=600&set.batch_size=64&set.device=cpu")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("link", name="See why").click(timeout=PATIENCE_MS)
    expect(page.locator(".verdict.cause-found")).to_be_visible(timeout=PATIENCE_MS)
    failing = number(page)
    apply = page.get_by_role("button", name="Stop it, apply and run").first
    settle(page)
    page.evaluate(LISTEN)
    tick_again(page)
    apply.click()
    page.wait_for_url(re.compile(rf"/train\?.*run=(?!{failing}\b)\d+"), timeout=PATIENCE_MS)
    assert_left_by_itself(page)
    # The list of runs has another label now (this one is stopping), which is nobody's choice.
    assert not [one for one in page.evaluate("window.__addresses") if f"run={failing}&" in f"{one}&"]
    copy = tracking.get_run(runs, number(page))
    assert copy.parent_id == failing
    expect(page.get_by_role("status")).to_have_text(re.compile("running|finished"), timeout=PATIENCE_MS)
    assert tracking.get_run(runs, failing).status is Status.STOPPED
    settle(page)
    page.get_by_role("link", name=f"Beside run {failing}").click()
    page.wait_for_function(f"{DRAWN} === 2", timeout=PATIENCE_MS)
    expect(page.locator(".beside")).to_contain_text(f"Run {copy.id}", timeout=PATIENCE_MS)


@pytest.mark.slow
def test_it_fits_every_window(visit: Visit, runs: Database, look: Look) -> None:
    failed = run_with_curves(runs, collapsed=True, device=NOBODYS)
    run_with_curves(runs, collapsed=False, parent_id=failed, lr=0.01, device=NOBODYS)
    page = visit(f"diagnose?run={failed}", look)
    page.wait_for_function(f"{DRAWN} === 2", timeout=PATIENCE_MS)
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
