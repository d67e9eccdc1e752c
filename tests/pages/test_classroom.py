"""The teacher's page: the card to come in by, why nobody can, and what its buttons do to the class."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.access.classroom import MAX_WRONG, Classroom, JoinError, grouped
from cnnviz.ui.shared import visitors
from tests.pages.runner import html


def script() -> None:
    from cnnviz.ui.pages.classroom.page import class_page

    class_page()


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classroom:
    """An open class, whose teacher looks at the page."""
    opened = Classroom(tmp_path / "class.json")
    opened.open()
    monkeypatch.setattr(visitors, "classroom", lambda: opened)
    return opened


def shown() -> AppTest:
    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    return app


def test_the_card_shows_the_code_and_a_new_one_replaces_it(room: Classroom) -> None:
    first = room.state.code
    app = shown()
    assert grouped(first) in html(app)
    app.button(key="class-code").click().run()
    assert room.state.code != first
    assert grouped(room.state.code) in html(app)
    assert grouped(first) not in html(app)


def test_a_closed_class_says_so_and_is_opened_again(room: Classroom) -> None:
    app = shown()
    app.button(key="class-close").click().run()
    assert ["The class is closed" in warning.value for warning in app.warning] == [True]
    app.button(key="class-open").click().run()
    assert not app.warning
    assert not room.state.closed


def test_a_code_that_was_guessed_at_is_locked_with_a_sentence(room: Classroom) -> None:
    for number in range(MAX_WRONG):
        with pytest.raises(JoinError):
            room.join("wrong", "Ada", address=f"visitor {number}")
    assert "tried wrongly" in shown().warning[0].value
