"""The class: codes, cookies and keys, and what is refused."""

from __future__ import annotations

import math
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.access import LOCAL, NOBODY, NotAllowedError, Principal, Role, acting, principal, resolve_with
from cnnviz.access.classroom import (
    ALPHABET,
    CODE_LENGTH,
    KEY_LENGTH,
    MAX_WRONG,
    Classroom,
    JoinError,
    format_expiry,
)


@pytest.fixture
def classroom(tmp_path: Path) -> Classroom:
    return Classroom(tmp_path / "class.json")


def joined(classroom: Classroom, name: str) -> Principal:
    found = classroom.principal(classroom.join(classroom.state.code, name))
    assert found is not None
    return found


def test_codes_are_hard_to_guess() -> None:
    assert CODE_LENGTH * math.log2(len(ALPHABET)) >= 40
    assert KEY_LENGTH * math.log2(len(ALPHABET)) >= 60
    assert MAX_WRONG / len(ALPHABET) ** CODE_LENGTH < 1e-9


def test_a_student_has_a_key_that_the_nickname_does_not_give(classroom: Classroom) -> None:
    classroom.open()
    first, second = joined(classroom, "Ada"), joined(classroom, "ada ")
    assert first.role is second.role is Role.MEMBER
    assert (first.name, second.name) == ("Ada", "ada (2)")
    assert first.key != second.key
    assert "Ada" not in first.key


def test_a_code_that_expires_after_midnight_shows_the_date(classroom: Classroom) -> None:
    classroom.open()
    now = time.time()
    today = time.localtime(now)
    assert format_expiry(replace(classroom.state, expires=now)) == time.strftime("%H:%M", today)
    later = now + 2 * 86_400
    assert format_expiry(replace(classroom.state, expires=later)) == time.strftime(
        "%a %H:%M", time.localtime(later)
    )


def test_the_code_is_read_as_people_type_it(classroom: Classroom) -> None:
    classroom.open()
    code = classroom.state.code
    typed = f" {code[:4].lower()} - {code[4:]}".replace("0", "o").replace("1", "l")
    assert classroom.join(typed, "Ada")


def test_a_student_comes_back_with_their_own_key_only(classroom: Classroom) -> None:
    classroom.open()
    ada, bob = joined(classroom, "Ada"), joined(classroom, "Bob")
    again = classroom.principal(
        classroom.join(classroom.state.code, "Eve", key=classroom.student_key(ada.key))
    )
    assert again == ada
    assert classroom.student_key(ada.key) != classroom.student_key(bob.key)
    with pytest.raises(JoinError, match="No student has this key"):
        classroom.join(classroom.state.code, "Eve", key="0" * KEY_LENGTH)
    assert classroom.state.wrong == 1, "tries of keys count as tries of the code do"


def test_wrong_tries_lock_the_code_whatever_address_they_come_from(classroom: Classroom) -> None:
    classroom.open()
    for number in range(MAX_WRONG):
        with pytest.raises(JoinError, match="not the join code"):
            classroom.join("00000000", "Eve", address=f"10.0.0.{number}")
    code = classroom.state.code
    with pytest.raises(JoinError, match="locked"):
        classroom.join(code, "Ada", address="10.0.1.1")
    # The count outlives a restart; a new code begins anew.
    with pytest.raises(JoinError, match="locked"):
        Classroom(classroom.path).join(code, "Ada", address="10.0.1.2")
    classroom.renew_code()
    assert classroom.state.code != code
    assert classroom.join(classroom.state.code, "Ada", address="10.0.1.1")


def test_an_address_waits_after_ten_wrong_tries(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    classroom.open()
    for _ in range(10):
        with pytest.raises(JoinError, match="not the join code"):
            classroom.join("1", "Eve", "10.0.0.1")
    with pytest.raises(JoinError, match="wait a minute"):
        classroom.join(classroom.state.code, "Eve", "10.0.0.1")
    assert classroom.join(classroom.state.code, "Ada", "10.0.0.2")
    now[0] += 61
    assert classroom.join(classroom.state.code, "Eve", "10.0.0.1")


def test_a_code_expires_and_who_is_in_stays(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    classroom.open(hours=1)
    cookie, code, now = classroom.join(classroom.state.code, "Ada"), classroom.state.code, time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    with pytest.raises(JoinError, match="expired"):
        classroom.join(code, "Bob")
    assert classroom.principal(cookie) is not None


def test_a_cookie_expires_after_thirty_days(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    key = classroom.open()
    now = time.time()
    for cookie in (classroom.join(classroom.state.code, "Ada"), classroom.teach(key)):
        for days, opens in ((29, True), (31, False)):
            monkeypatch.setattr(time, "time", lambda later=now + days * 86_400: later)
            assert (classroom.principal(cookie) is not None) == opens
        monkeypatch.setattr(time, "time", lambda: now)


def test_the_teacher_has_a_key_that_is_not_in_the_file(classroom: Classroom) -> None:
    key = classroom.open()
    assert key not in classroom.path.read_text(encoding="utf-8")
    assert stat.S_IMODE(classroom.path.stat().st_mode) == 0o600
    cookie = classroom.teach(key)
    teacher = classroom.principal(cookie)
    assert teacher is not None
    assert teacher.manages
    assert teacher.key == LOCAL
    with pytest.raises(JoinError, match="not the teacher's key"):
        classroom.teach("guess")
    classroom.open()  # a new start prints a new link, and the old one is worth nothing
    assert classroom.principal(cookie) is None
    with pytest.raises(JoinError, match="not the teacher's key"):
        classroom.teach(key)


def test_a_closed_class_lets_nobody_in_and_keeps_its_students(classroom: Classroom) -> None:
    classroom.open()
    cookie = classroom.join(classroom.state.code, "Ada")
    classroom.close()
    assert classroom.principal(cookie) is None
    with pytest.raises(JoinError, match="closed"):
        classroom.join(classroom.state.code, "Bob")
    classroom.open()
    again = classroom.principal(cookie)
    assert again is not None
    assert again.name == "Ada"


@given(st.text(max_size=200))
def test_no_text_is_a_cookie(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    classroom = Classroom(tmp_path_factory.getbasetemp() / "hypothesis-class.json")
    if not classroom.path.exists():
        classroom.open()
    assert classroom.principal(text) is None


def test_another_classes_cookie_is_worth_nothing(classroom: Classroom, tmp_path: Path) -> None:
    other = Classroom(tmp_path / "other.json")
    classroom.open()
    other.open()
    assert classroom.principal(other.join(other.state.code, "Ada")) is None


def test_nicknames_are_short_and_printable(classroom: Classroom) -> None:
    classroom.open()
    for name in ("", "   ", "\x00\x1b", "x" * 31):
        with pytest.raises(JoinError, match="1 to 30"):
            classroom.join(classroom.state.code, name)
    for blank in ("\u3164", "\u2800 \u2800", "\u0301"):
        with pytest.raises(JoinError, match="that can be seen"):
            classroom.join(classroom.state.code, blank)
    assert joined(classroom, "A\tda\u202e").name == "A da"
    assert joined(classroom, "\U0001f984").name == "\U0001f984"


def test_a_damaged_file_is_said_so(classroom: Classroom) -> None:
    classroom.path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="remove it to begin a new class"):
        _ = classroom.state
    assert classroom.principal("x") is None


def test_a_principal_changes_what_is_theirs() -> None:
    ada, teacher = Principal("a", "Ada", Role.MEMBER), Principal(LOCAL, "T", Role.MANAGER)
    assert principal().manages
    assert principal().owns(None)
    assert ada.may_change("a")
    assert not ada.may_change("b")
    assert not ada.may_change(None)
    assert teacher.may_change("a")
    assert teacher.owns(None)
    assert not teacher.owns("a")
    with pytest.raises(NotAllowedError, match="Run 7 is somebody else's"):
        ada.require("b", "Run 7")
    with pytest.raises(NotAllowedError, match="joined or signed in"):
        NOBODY.require_write("queue a run")


def test_a_call_is_made_for_whom_the_process_says() -> None:
    ada = Principal("a", "Ada", Role.MEMBER)
    resolve_with(lambda: NOBODY)
    try:
        assert principal() is NOBODY
        with acting(ada):
            assert principal() is ada
        assert principal() is NOBODY
    finally:
        resolve_with(None)
    assert principal().manages


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Teacher", "Teacher (2)"),
        ("TEACHER", "TEACHER (2)"),
        ("Ada", "Ada (2)"),
        ("\uff21\uff44\uff41", "Ada (2)"),  # full width
        ("A\u200bda", "A da"),  # a space that is not seen
        ("\u202eadA", "adA (2)"),  # written from right to left
    ],
)
def test_a_nickname_looks_like_nobody_elses(classroom: Classroom, given: str, shown: str) -> None:
    classroom.open()
    classroom.join(classroom.state.code, "Ada")
    who = classroom.principal(classroom.join(classroom.state.code, given))
    assert who is not None
    assert who.name == shown


def test_a_full_class_is_made_room_in(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnviz.access.classroom.MAX_STUDENTS", 3)
    classroom.open()
    ada = classroom.join(classroom.state.code, "Ada")
    flood = [classroom.join(classroom.state.code, f"Eve {number}") for number in range(2)]
    with pytest.raises(JoinError, match="The class is full"):
        classroom.join(classroom.state.code, "Bob")
    eve = classroom.principal(flood[0])
    assert eve is not None
    classroom.remove([key for key, name in classroom.state.students.items() if name.startswith("Eve")])
    assert classroom.principal(flood[0]) is None
    assert classroom.principal(ada) is not None
    classroom.join(classroom.state.code, "Bob")
    with pytest.raises(JoinError, match="No student has this key"):
        classroom.join(classroom.state.code, "Eve", key=classroom.student_key(eve.key))
