"""Open to the class, under Share: who finds it, what it says in each state, what it checks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.access import class_process
from cnnviz.access.class_process import ClassLinks
from cnnviz.access.classroom import FILE, HOSTS_VARIABLE, Classroom, grouped
from cnnviz.paths import home
from cnnviz.ui.shared import notice, open_class, visitors
from tests.pages.runner import html, open_page

URL = "http://cnn.school.example:8502"


def script() -> None:
    from cnnviz.ui.shared import notice
    from cnnviz.ui.shared.model_picker import share_button

    notice.show(notice.pending_notices())
    share_button()


class Programs:
    """What stands in for the second app: starts when it is let, and is recorded as this process."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let = threading.Event()
        self.refusal = ""
        self._record = class_process.recorded(home(), URL)

    def open(
        self, folder: Path, host: str, _options: Sequence[str], report: Callable[[str], None]
    ) -> ClassLinks:
        self.begun.append(f"open {host}")
        report("The second app starts")
        self.let.wait()
        if self.refusal:
            raise ValueError(self.refusal)
        return self.opened(folder)

    def opened(self, folder: Path) -> ClassLinks:
        """Open a class, as another program would."""
        folder.mkdir(parents=True, exist_ok=True)
        key = Classroom(folder / FILE).open()
        self._record.__enter__()
        return ClassLinks(URL, f"{URL}/teach#{key}")

    def close(self, folder: Path, report: Callable[[str], None]) -> None:
        self.begun.append("close")
        report("Students are told")
        self.let.wait()
        Classroom(folder / FILE).close()
        self._record.__exit__(None, None, None)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    stand_ins = Programs()
    monkeypatch.setattr(class_process, "open_class", stand_ins.open)
    monkeypatch.setattr(class_process, "close_class", stand_ins.close)
    monkeypatch.setattr(open_class, "_jobs", {})
    monkeypatch.setattr(visitors, "is_local_session", lambda: True)
    monkeypatch.setattr(class_process, "network_addresses", lambda: ["192.168.1.5"])
    monkeypatch.delenv(HOSTS_VARIABLE, raising=False)
    yield stand_ins
    stand_ins.let.set()
    for job in open_class._jobs.values():
        job.wait()


def shown() -> AppTest:
    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    return app


def keys(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button]


def text(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.error, *app.warning])


def ended(app: AppTest, programs: Programs) -> AppTest:
    """The page once what was begun has ended."""
    programs.let.set()
    open_class._jobs[home()].wait()
    programs.let.clear()
    app.run()
    assert not app.exception
    return app


def opened_here(programs: Programs) -> AppTest:
    app = shown()
    app.button(key="class-opening-open").click().run()
    return ended(app, programs)


def test_who_is_not_here_finds_nothing_of_it(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"is_local_session": lambda: False, "LOOPBACK": ()}.items():
        with monkeypatch.context() as patch:  # from elsewhere; and at home, in an app that others reach too
            patch.setattr(visitors, name, value)
            app = shown()
            assert keys(app) == []
            assert "lass" not in text(app)
    assert "class-opening-open" in keys(shown())


def test_no_page_offers_it_to_who_is_not_known_to_be_here() -> None:
    assert not [key for key in keys(open_page("architecture")) if key.startswith("class-opening")]


def test_it_says_first_what_it_is_and_then_what_it_waits_for(programs: Programs) -> None:
    app = shown()
    assert "join with a code" in text(app)
    assert "Plain http" in text(app)
    assert "It ends with this app" in text(app)
    app.button(key="class-opening-open").click().run()
    assert programs.begun == ["open 192.168.1.5"]
    assert app.button(key="class-opening-wait").disabled
    assert app.button(key="class-opening-wait").label.startswith("The second app starts")
    # Another window, or this one after a reload, waits for the same.
    other = shown()
    assert "class-opening-wait" in keys(other)
    assert "class-opening-open" not in keys(other)


def test_the_link_of_the_teacher_is_shown_to_who_has_opened_it(programs: Programs) -> None:
    app = opened_here(programs)
    classroom = Classroom(home() / FILE)
    code = grouped(classroom.state.code)
    assert "The class is open" in text(app)
    assert "Nobody has joined yet" in text(app)
    assert "change nothing of yours" in text(app)
    assert "Plain http" in text(app)
    assert "QR code" in html(app)
    link = app.code[-1].value
    assert [element.value for element in app.code][1:] == [URL, code, link]
    assert link.startswith(f"{URL}/teach#")
    assert classroom.is_teacher_key(link.rpartition("#")[2])
    classroom.join(code, "Ada")
    app.run()
    assert "Students so far: 1" in text(app)
    assert app.code[-1].value == link

    # After a reload there is a new session, which gets a new link; the one from before is then worth nothing.
    other = shown()
    assert [element.value for element in other.code][1:] == [URL, code]
    other.button(key="class-opening-teacher").click().run()
    new = other.code[-1].value
    assert new != link
    assert classroom.is_teacher_key(new.rpartition("#")[2])
    app.run()
    assert link not in [element.value for element in app.code]


def test_closing_says_so_and_leads_back_to_the_offer(programs: Programs) -> None:
    app = opened_here(programs)
    app.button(key="class-opening-close").click().run()
    assert app.button(key="class-opening-wait").label.startswith("Students are told")
    app = ended(app, programs)
    assert programs.begun == ["open 192.168.1.5", "close"]
    assert Classroom(home() / FILE).state.closed
    assert "class-opening-open" in keys(app)


def test_a_class_that_does_not_start_says_why(programs: Programs) -> None:
    programs.refusal = "The class could not be opened. No port of 0.0.0.0 can be listened at."
    app = opened_here(programs)
    assert [error.value for error in app.error] == [notice.escape(programs.refusal)]
    assert "class-opening-open" in keys(app)
    assert not shown().error  # others have not begun it


def test_a_class_of_another_program_is_shown_and_not_opened_a_second_time(programs: Programs) -> None:
    programs.opened(home())
    app = shown()
    assert "class-opening-open" not in keys(app)
    assert URL in [element.value for element in app.code]
    assert "Another program has started the class" in text(app)
    assert "/teach#" not in " ".join(element.value for element in app.code)
    app.button(key="class-opening-close").click().run()
    ended(app, programs)
    assert programs.begun == ["close"]


def test_a_class_closed_on_the_page_of_its_teacher_is_opened_again_or_ended(programs: Programs) -> None:
    programs.opened(home())
    classroom = Classroom(home() / FILE)
    classroom.close()
    app = shown()
    assert "The class is closed" in text(app)
    assert URL not in [element.value for element in app.code]
    assert app.button(key="class-opening-close").label == "End the class"
    app.button(key="class-opening-again").click().run()
    assert not classroom.state.closed
    assert grouped(classroom.state.code) in [element.value for element in app.code]


def test_a_class_that_has_ended_by_itself_is_said(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_process, "how_child_ended", lambda: "Killed.")
    app = shown()
    assert "has ended by itself: Killed" in text(app).replace("\\", "")
    assert "class-opening-open" in keys(app)


def test_without_a_network_it_says_so(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_process, "network_addresses", list)
    app = shown()
    assert app.button(key="class-opening-open").disabled
    assert "no network address" in text(app)


def test_of_several_addresses_one_is_chosen(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "cnn.school.example")
    app = shown()
    assert app.selectbox[0].options == ["cnn.school.example", "192.168.1.5"]
    app.selectbox[0].set_value("192.168.1.5").run()
    app.button(key="class-opening-open").click().run()
    assert programs.begun == ["open 192.168.1.5"]


def test_where_no_process_can_be_ended_the_command_is_shown(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_process, "POSIX", False)
    app = shown()
    assert app.code[-1].value.startswith("cnnviz class")
    assert keys(app) == []


@pytest.mark.parametrize("action", ["open", "close", "teacher", "again"])
def test_who_is_not_here_starts_and_changes_nothing(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The action asks once more who acts: that the button is not drawn is not all that stands before it."""
    classroom = Classroom(home() / FILE)
    if action != "open":
        programs.opened(home())
    if action == "again":
        classroom.close()
    before = classroom.path.read_bytes() if classroom.path.exists() else b""
    app = shown()
    monkeypatch.setattr(visitors, "is_local_session", lambda: False)
    app.button(key=f"class-opening-{action}").click().run()
    assert not app.exception
    assert programs.begun == []
    assert open_class._jobs == {}
    assert (classroom.path.read_bytes() if classroom.path.exists() else b"") == before
    assert "Only a browser on the app" in text(app)
