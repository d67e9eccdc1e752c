"""Sign-in at a real provider of OpenID Connect: guests look, members train, a claim makes somebody manage."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from tests.browser.people import LONG, begin, command_line_app, free_port, person
from tests.browser.server import Server
from tests.browser.waiting import settle
from tests.training.workers.making import until

PEOPLE = ({"sub": "ada", "groups": ["student"]}, {"sub": "tess", "groups": ["teacher"]})


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """The address of a provider that knows two people."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for each in PEOPLE:
        command += ["--user-claims", json.dumps(each)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        until(lambda: _answers(f"{address}/.well-known/openid-configuration"), "the provider is there")
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def issuer(chromium: Browser) -> Iterator[str]:
    with provider() as address:
        yield address


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def signing_in(folder: Path, issuers: Mapping[str, str]) -> Iterator[Server]:
    """The app, whose secrets name providers; the name of one alone may be empty."""
    port, secrets = free_port(), folder / "secrets.toml"
    text = (
        f'[auth]\nredirect_uri = "http://localhost:{port}/oauth2callback"\n'
        'cookie_secret = "only for this test"\n'
    )
    for name, address in issuers.items():
        text += (f"[auth.{name}]\n" if name else "") + (
            'client_id = "cnnviz"\nclient_secret = "as secret"\n'
            f'server_metadata_url = "{address}/.well-known/openid-configuration"\n'
        )
    secrets.write_text(text)
    with command_line_app(
        folder, port, "app", "--port", str(port), "--home", str(folder / "home"), "--lean", "--sign-in",
        "--manager-claim", "groups=teacher", "--", "--server.headless=true", f"--secrets.files={secrets}",
    ) as server:  # fmt: skip
        yield server


@pytest.fixture
def app(issuer: str, tmp_path: Path) -> Iterator[Server]:
    with signing_in(tmp_path, {"": issuer}) as server:
        yield server


def sign_in(page: Page, server: Server, subject: str, button: str = "Sign in") -> None:
    # The provider's page would like a style sheet from elsewhere.
    page.route(lambda url: "localhost" not in url, lambda route: route.abort())
    page.goto(f"{server.url}/runs")
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("button", name=subject, exact=True).click()
    page.wait_for_url(f"{server.url}/**")
    settle(page)


@pytest.mark.slow
def test_guests_look_members_train_and_a_claim_makes_somebody_manage(
    app: Server, issuer: str, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(app.home))
    with person(chromium) as guest, person(chromium) as ada, person(chromium) as tess:
        guest.goto(f"{app.url}/{LONG}")
        guest.get_by_role("button", name="Start", exact=True).click()
        expect(guest.get_by_text("Only people who have joined or signed in can")).to_be_visible()

        sign_in(ada, app, "ada")
        expect(ada.get_by_role("button", name="ada")).to_be_visible()
        ada.goto(f"{app.url}/{LONG}")
        number = begin(ada)
        with tracking.connect() as database:
            (run,) = tracking.list_runs(database, metrics=[])
            names = tracking.names_by_key(database)
        assert names == {f"{issuer} ada": "ada"}
        assert run.id == number

        # A guest sees the run, and has nothing to stop it with; who manages has.
        guest.goto(f"{app.url}/train?run={run.id}")
        expect(guest.get_by_text("This run is ada’s")).to_be_visible()
        expect(guest.get_by_role("button", name="Stop")).to_have_count(0)
        sign_in(tess, app, "tess")
        tess.goto(f"{app.url}/class")
        expect(tess.get_by_role("row", name="ada")).to_be_visible()
        tess.get_by_role("button", name="Stop", exact=True).click()
        with tracking.connect() as database:
            until(lambda: not tracking.get_run(database, run.id).active, "it is stopped")
        ada.goto(f"{app.url}/class")
        expect(ada.get_by_text("This page is the teacher’s")).to_be_visible()

        ada.get_by_role("button", name="ada").click()
        ada.get_by_role("button", name="Sign out").click()
        ada.get_by_role(
            "button", name="End session"
        ).click()  # the provider's own page: it asks, and leads back
        expect(ada.get_by_role("button", name="Sign in")).to_be_visible()
    assert not app.traced(since=0)


@pytest.mark.slow
def test_the_same_subject_of_two_providers_is_two_people(
    issuer: str, tmp_path: Path, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider() as other, signing_in(tmp_path, {"school": issuer, "clinic": other}) as server:
        monkeypatch.setenv("CNNVIZ_HOME", str(server.home))
        numbers = []
        with person(chromium) as first, person(chromium) as second:
            for page, name in ((first, "school"), (second, "clinic")):
                sign_in(page, server, "ada", f"Sign in with {name}")
                expect(page.get_by_role("button", name="ada")).to_be_visible()
                page.goto(f"{server.url}/{LONG}")
                numbers.append(begin(page))
            second.goto(f"{server.url}/train?run={numbers[0]}")
            expect(second.get_by_text("This run is ada’s")).to_be_visible()
            expect(second.get_by_role("button", name="Stop")).to_have_count(0)
            with tracking.connect() as database:
                for page, number in ((second, numbers[1]), (first, numbers[0])):  # The one that waits first.
                    page.goto(f"{server.url}/train?run={number}")
                    page.get_by_role("button", name="Stop").click()
                    until(partial(stopped, database, number), "it is stopped")
                assert set(tracking.names_by_key(database)) == {f"{issuer} ada", f"{other} ada"}
        assert not server.traced(since=0)


def stopped(database: Database, number: int) -> bool:
    return tracking.get_run(database, number).status is Status.STOPPED
