"""The teacher's page: the card to come in by, why nobody can, and what its buttons do to the class."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import access, tracking
from cnnviz.access import Principal, Role, acting
from cnnviz.access.classroom import MAX_WRONG, Classroom, JoinError, grouped
from cnnviz.ui.shared import notice, visitors
from tests.pages.runner import html


def script() -> None:
    from cnnviz.ui.pages.classroom import class_page

    class_page()


def line() -> None:
    import streamlit as st

    from cnnviz.ui.shared import open_class

    if open_class.draw(None, {"start": open_class.PAGE}, at_class=False):
        st.write("the page")


@pytest.fixture
def classroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classroom:
    """An open class, whose teacher looks at the page."""
    opened = Classroom(tmp_path / "class.json")
    opened.open()
    monkeypatch.setattr(visitors, "classroom", lambda: opened)
    return opened


def shown() -> AppTest:
    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    return app


def test_the_card_shows_the_code_and_a_new_one_replaces_it(classroom: Classroom) -> None:
    first = classroom.state.code
    app = shown()
    assert grouped(first) in html(app)
    app.button(key="class-code").click().run()
    assert classroom.state.code != first
    assert grouped(classroom.state.code) in html(app)
    assert grouped(first) not in html(app)


def test_a_closed_class_says_so_and_is_opened_again(classroom: Classroom) -> None:
    app = shown()
    app.button(key="class-close").click().run()
    assert ["The class is closed" in warning.value for warning in app.warning] == [True]
    app.button(key="class-open").click().run()
    assert not app.warning
    assert not classroom.state.closed


def test_a_code_that_was_guessed_at_is_locked_with_a_sentence(classroom: Classroom) -> None:
    for number in range(MAX_WRONG):
        with pytest.raises(JoinError):
            classroom.join("wrong", "Ada", address=f"visitor {number}")
    assert "tried wrongly" in shown().warning[0].value


@pytest.fixture
def ada(classroom: Classroom) -> Iterator[Principal]:
    """A student, who looks at the pages."""
    student = classroom.principal(classroom.join(classroom.state.code, "Ada"))
    assert student is not None
    access.resolve_with(lambda: student)
    yield student
    access.resolve_with(None)


@pytest.mark.usefixtures("ada")
def test_a_student_reads_of_a_limit_before_it_is_hit() -> None:
    with tracking.connect() as database:
        for count in range(11):
            if count:
                tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)
            if count < 7:
                continue
            app = AppTest.from_function(line, default_timeout=60).run()
            assert not app.exception
            near = [caption.value for caption in app.caption if "Nearly" in caption.value]
            assert near == (
                [notice.escape(f"Nearly used up: {count} of 10 waiting runs.")] if count in (8, 9) else []
            )
            assert ["10 of your runs wait" in warning.value for warning in app.warning] == [True] * (
                count == 10
            )


def test_a_student_of_a_closed_class_sees_no_page(classroom: Classroom, ada: Principal) -> None:
    app = AppTest.from_function(line, default_timeout=60).run()
    assert "the page" in [text.value for text in app.markdown]
    with tracking.connect() as database:
        owner = tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0).owner_id
    classroom.close()
    reader = replace(ada, role=Role.READER)
    access.resolve_with(lambda: reader)
    # Nor is she told by a page that was open meanwhile that her own run is somebody else's.
    with tracking.connect() as database:
        said = visitors.whose(database, owner, "This run", "look at it, and clone it.")
    assert said == "The class is closed: this run can be looked at, and nothing changed."
    app = AppTest.from_function(line, default_timeout=60).run()
    assert not app.exception
    assert "The class is closed" in app.warning[0].value
    assert not app.markdown


def test_a_second_click_on_freeze_does_not_undo_the_first(classroom: Classroom) -> None:
    app = shown()
    late = shown()  # drawn before the first click, like the page of somebody who clicks twice
    app.button(key="class-freeze").click().run()
    with tracking.connect() as database:
        assert tracking.queue_frozen(database)
        late.button(key="class-freeze").click().run()
        assert tracking.queue_frozen(database)
        app.button(key="class-thaw").click().run()
        assert not tracking.queue_frozen(database)


def test_the_queue_is_shown_in_round_robin_order(classroom: Classroom) -> None:
    ada, bob = (classroom.principal(classroom.join(classroom.state.code, name)) for name in ("Ada", "Bob"))
    assert ada is not None
    assert bob is not None
    with tracking.connect() as database:
        for who in (ada, ada, bob):
            with acting(who):
                tracking.create_run(database, {}, model="lenet5", dataset="mnist", seed=0)
    stops = [button.key for button in shown().button if str(button.key).startswith("class-stop-")]
    assert stops[1:] == ["class-stop-1", "class-stop-3", "class-stop-2"]


def test_a_full_class_offers_to_remove_who_has_made_nothing(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnviz.ui.pages.classroom.MAX_STUDENTS", 2)
    ada = classroom.principal(classroom.join(classroom.state.code, "Ada"))
    classroom.join(classroom.state.code, "Eve")
    assert ada is not None
    with tracking.connect() as database, acting(ada):
        tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)
    app = shown()
    assert any("The class is full" in warning.value for warning in app.warning)
    assert app.button(key="class-remove").label == "Remove 1 who have made nothing"
    app.button(key="class-remove").click().run()
    assert not app.exception
    assert list(classroom.state.students.values()) == ["Ada"]
