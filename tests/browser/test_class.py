"""A class in browsers: opened by the command and from Share, joined, trained in, and closed."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cnnviz import tracking
from cnnviz.access.classroom import HOSTS_VARIABLE, Classroom, grouped
from tests.browser.people import LONG, begin, command_line_app, free_port, person
from tests.browser.server import Server, serve
from tests.browser.waiting import TIMEOUT_MS


@dataclass(frozen=True)
class Class:
    """A class that `cnnviz class` has opened."""

    server: Server
    classroom: Classroom
    teacher: str
    """The teacher's link."""

    @property
    def code(self) -> str:
        """What the teacher shows."""
        return grouped(self.classroom.state.code)


@pytest.fixture
def school(chromium: Browser, tmp_path: Path) -> Iterator[Class]:
    """The app as `cnnviz class` starts it."""
    port = free_port()
    with command_line_app(
        tmp_path, port, "class", "--port", str(port), "--home", str(tmp_path / "home"), "--address",
        "127.0.0.1", "--host", "localhost", "--lean",
    ) as server:  # fmt: skip
        link = re.search(r"http://localhost:\d+/teach#\S+", server.printed())
        assert link is not None, server.printed()
        yield Class(server, Classroom(server.home / "class.json"), link[0])


def join(page: Page, school: Class, name: str, path: str) -> None:
    page.goto(f"{school.server.url}/{path}")
    expect(page.get_by_role("heading", name="Join the class")).to_be_visible()
    page.get_by_label("Join code").fill(school.code.lower())
    page.get_by_label("Nickname").fill(name)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("button", name=name)).to_be_visible(timeout=3 * TIMEOUT_MS)


@pytest.mark.slow
def test_two_students_train_and_only_the_teacher_stops_both(
    school: Class, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(school.server.home))
    with person(chromium) as teacher, person(chromium) as ada, person(chromium) as bob:
        teacher.goto(school.teacher)
        assert "#" not in teacher.url  # the key stays in no address that somebody reads over a shoulder
        teacher.get_by_role("button", name="Open").click()
        expect(teacher.get_by_text(school.code)).to_be_visible()
        expect(teacher.get_by_alt_text("QR code")).to_be_visible()

        join(ada, school, "Ada", LONG)
        join(bob, school, "Bob", LONG)
        first, second = begin(ada), begin(bob)
        expect(teacher.get_by_role("row", name="Ada")).to_be_visible()

        # Somebody else's run can be looked at and not stopped; one's own can.
        bob.goto(f"{school.server.url}/train?run={first}")
        expect(bob.get_by_text("This run is Ada’s")).to_be_visible()
        expect(bob.get_by_role("button", name="Stop")).to_have_count(0)
        expect(bob.get_by_role("button", name="Clone run")).to_be_visible()
        expect(ada.get_by_role("button", name="Stop")).to_be_visible()
        bob.goto(f"{school.server.url}/class")
        expect(bob.get_by_text("This page is the teacher’s")).to_be_visible()

        teacher.get_by_role("button", name="Stop all").click()
        teacher.get_by_role("button", name="Stop 2 runs").click()
        expect(teacher.get_by_text("0 train, 0 wait")).to_be_visible()
        expect(teacher.get_by_text(re.compile("^Stops ."))).to_be_hidden()
        with tracking.connect() as database:
            runs = [tracking.get_run(database, number) for number in (first, second)]
        assert {run.status for run in runs} == {tracking.Status.STOPPED}
        assert runs[0].owner_id != runs[1].owner_id

        with person(chromium) as eve:
            eve.goto(f"{school.server.url}/runs")
            for number in range(11):
                eve.get_by_label("Join code").fill(f"guess {number}" if number < 10 else school.code)
                eve.get_by_label("Nickname").fill("Eve")
                eve.get_by_role("button", name="Join").click()
                expect(eve.get_by_role("alert")).to_be_visible()
            expect(eve.get_by_role("alert")).to_contain_text("wait a minute")

        teacher.get_by_role("button", name="Close the class").click()
        expect(teacher.get_by_text("The class is closed")).to_be_visible()
        ada.goto(f"{school.server.url}/runs")
        expect(ada.get_by_role("heading", name="The class is closed")).to_be_visible()
        teacher.get_by_role("button", name="Open the class again").click()
        expect(teacher.get_by_text("Join code, until")).to_be_visible()
        ada.get_by_role("button", name="Try again").click()
        expect(ada.get_by_role("heading", level=1)).to_have_text("Runs")

        # Who leaves does so in this tab: one that stays open would still be theirs.
        ada.get_by_role("button", name="Ada", exact=True).click()
        ada.get_by_role("link", name="Leave the class").click()
        expect(ada.get_by_role("heading", name="Leave the class")).to_be_visible()
        assert len(ada.context.pages) == 1
        ada.get_by_role("button", name="Leave").click()
        expect(ada.get_by_role("heading", name="Join the class")).to_be_visible()
    assert not school.server.traced(since=0)


@pytest.mark.slow
def test_share_opens_the_app_to_a_class_and_closes_it(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "localhost")  # the only name that this browser knows
    with serve(tmp_path) as server, person(chromium) as teacher, person(chromium) as ada:
        monkeypatch.setenv("CNNVIZ_HOME", str(server.home))
        classroom = Classroom(server.home / "class.json")
        teacher.goto(f"{server.url}/architecture")
        teacher.get_by_role("button", name="Share").click()
        teacher.get_by_role("button", name="Open to the class").click()
        expect(teacher.get_by_text("The class is open")).to_be_visible()
        expect(teacher.get_by_alt_text("QR code")).to_be_visible()
        shown = teacher.get_by_test_id("stPopoverBody").inner_text()
        link = re.search(r"(http://localhost:\d+)/teach#\S+", shown)
        assert link is not None, shown
        assert grouped(classroom.state.code) in shown

        # The link is shown once; the class outlives the page.
        teacher.reload()
        teacher.get_by_role("button", name="Share").click()
        expect(teacher.get_by_text("The class is open")).to_be_visible()
        expect(teacher.get_by_text("/teach#")).to_have_count(0)

        # A student trains; the first app gives the run its turn, and its user may stop it.
        school = Class(Server(link[1], server.home, server.log), classroom, link[0])
        join(ada, school, "Ada", LONG)
        expect(ada.get_by_text("Open to the class")).to_have_count(0)
        run = begin(ada)
        expect(ada.get_by_role("button", name="Stop")).to_be_visible()
        teacher.goto(f"{server.url}/train?run={run}")
        teacher.get_by_role("button", name="Stop", exact=True).click()
        expect(ada.get_by_role("button", name="Clone run")).to_be_visible()

        # Who does nothing is told all the same, and the port is free.
        teacher.goto(f"{server.url}/architecture")
        teacher.get_by_role("button", name="Share").click()
        expect(teacher.get_by_text("Students so far: 1")).to_be_visible()
        teacher.get_by_role("button", name="Close the class").click()
        expect(ada.get_by_role("heading", name="The class is closed")).to_be_visible()
        expect(teacher.get_by_role("button", name="Open to the class")).to_be_visible()
        assert classroom.state.closed
        ada.get_by_role("button", name="Try again").click()
        expect(ada.get_by_role("alert")).to_contain_text("Nothing answers here")
        with socket.create_server(("0.0.0.0", int(link[1].rpartition(":")[2]))):
            pass
        assert not server.traced(since=0)


@pytest.mark.slow
def test_a_student_is_told_that_the_class_is_gone_and_goes_on_when_it_is_back(
    school: Class, chromium: Browser
) -> None:
    """Also where nobody closed it: the program was ended, or the network is."""
    with person(chromium) as ada:
        join(ada, school, "Ada", "architecture")
        ada.context.set_offline(True)
        gone = ada.get_by_role("dialog", name="The class does not answer")
        expect(gone).to_be_visible()
        ada.context.set_offline(False)
        expect(gone).to_have_count(0)
        expect(ada.get_by_role("heading", level=1)).to_have_text("Architecture")
