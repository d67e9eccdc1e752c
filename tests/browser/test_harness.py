"""The harness notices what a page must not do."""

from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.browser import chromium
from tests.browser.chromium import Witness, find_chromium
from tests.browser.conftest import Visit
from tests.browser.server import GONE, TRACE, Server
from tests.browser.waiting import MISSING, settle


def test_a_request_that_leaves_the_machine_is_stopped_and_noted(visit: Visit, witness: Witness) -> None:
    page = visit()
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("fetch('http://elsewhere.invalid/picture.png')")
    assert witness.external == ["http://elsewhere.invalid/picture.png"]
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in witness.errors)
    witness.external.clear()
    witness.errors.clear()


def test_errors_of_scripts_are_noted(visit: Visit, witness: Witness) -> None:
    page = visit()
    with page.expect_console_message():
        page.evaluate("console.error('said')")
    with page.context.expect_event("weberror"):
        page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    assert [text for text in ("said", "thrown") if not any(text in error for error in witness.errors)] == []
    witness.errors.clear()


def test_a_figure_is_waited_for_but_not_in_a_closed_fold(visit: Visit) -> None:
    page = visit()
    page.evaluate("""() => document.querySelector(".stApp").insertAdjacentHTML(
      "beforeend", "<details><div class='cnnviz-plot'>not drawn</div></details>")""")
    settle(page)
    page.evaluate("document.querySelector('.stApp > details').open = true")
    assert page.evaluate(f"({MISSING})()") == "a figure"


@pytest.mark.slow
def test_a_page_that_the_client_threw_away_is_loaded_again(visit: Visit, witness: Witness) -> None:
    page = visit("train?set.epochs=3")
    with page.expect_navigation():
        page.evaluate("setTimeout(() => { throw new Error('Bad delta path index 7') })")
    settle(page)
    expect(page.get_by_role("textbox", name="Epochs")).to_have_value("3")
    assert any("Bad delta path" in error for error in witness.errors)
    witness.errors.clear()


def test_chromium_is_looked_for_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_CHROMIUM", "no-such-browser")
    assert find_chromium() is None
    assert "apt-get install chromium" in chromium.MISSING


@pytest.mark.parametrize(
    ("printed", "traced"),
    [
        ("All is well.", False),
        (f"{TRACE}\n  …\nValueError: no", True),
        (f"{TRACE}\n  …\n{GONE}: closed\nDuring that:\n{TRACE}\n  …\n{GONE}: closed", False),
        (f"{TRACE}\n  …\n{GONE}: closed\n{TRACE}\n  …\nValueError: no", True),
    ],
)
def test_traces_are_told_from_windows_that_went(tmp_path: Path, printed: str, traced: bool) -> None:
    log = tmp_path / "log"
    log.write_text(f"{TRACE} of before {printed}", encoding="utf-8")
    text = Server("", tmp_path, log).traced(since=len(f"{TRACE} of before "))
    assert text == (printed if traced else "")
