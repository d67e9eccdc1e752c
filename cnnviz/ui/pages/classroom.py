"""Class page of the teacher: join card, queue and members, limits, handout."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

import streamlit as st

from cnnviz import access, tracking
from cnnviz.access.classroom import MAX_STUDENTS, MAX_WRONG, URL_VARIABLE, Classroom, format_expiry, grouped
from cnnviz.figures import numbers
from cnnviz.tracking import ACTIVE, Command, Database, Limits, RunSummary, Status, Usage
from cnnviz.ui.shared import notice, open_class, visitors
from cnnviz.ui.shared.layout import find_pages
from cnnviz.ui.shared.lesson import STEPS
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import quoted

CSS = Path(__file__).with_name("classroom.css")
LOOK_SECONDS = 3.0
MAX_SHOWN = 20
"""Maximum number of runs listed under Queue."""
FIELDS = {
    "waiting": ("Waiting runs each", "Further ones are refused until one has begun."),
    "minutes": (
        "Minutes of training a day each",
        "On whatever device; then what trains is paused, and what waits, waits until tomorrow.",
    ),
    "disk": ("Megabytes kept each", "Checkpoints of all their runs, deleted ones until they are removed."),
    "upload": ("Megabytes handed in a day each", "Images, weights and data, counted before they are read."),
}
NOTHING, ADDRESS = "Nothing", "An address of this app"
STOP_MENU = "class-stop-menu"


def class_page() -> None:
    """Draw the page for the teacher; others see whose page it is."""
    classroom = visitors.classroom()
    if not access.principal().manages:
        st.info("This page is the teacher’s. Your own limits stand behind your name above.")
        return
    st.html(CSS)
    notice.show(notice.pending_notices())
    try:
        database = run_data.database()
    except (ValueError, OSError) as error:
        st.error(notice.escape(str(error)), icon=":material/database_off:")
        return
    left, right = st.columns([0.55, 0.45], gap="large")
    with left:
        if classroom is not None:
            _join_card(classroom)
        _students_and_queue(classroom, database)
    with right:
        _limits(database)
        if classroom is not None:
            _handout_form(classroom)


# Join card.


def _join_card(classroom: Classroom) -> None:
    import segno

    state, url = classroom.state, os.environ.get(URL_VARIABLE, "")
    reason = _closed_reason(classroom)
    if reason:
        st.warning(reason)
    if not state.closed:
        qr_code = segno.make(f"{url}/join#{grouped(state.code)}", error="m").svg_data_uri(scale=4, border=1)
        st.html(
            f'<div class="class-card"><img src="{qr_code}" alt="QR code of the address with the join code">'
            f'<div><p class="what">Address</p><p class="address">{escape(url)}</p>'
            f'<p class="what">Join code, until {format_expiry(state)}</p>'
            f'<p class="code">{grouped(state.code)}</p></div></div>'
        )
        if url.startswith("http:"):
            st.caption("Plain http: whoever is on the same network can read what is sent.")
    with st.container(horizontal=True, gap="small"):
        if state.closed:
            st.button(
                "Open the class again",
                key="class-open",
                type="primary",
                on_click=_reopen_class,
                args=(classroom,),
            )
        else:
            st.button(
                "New join code", key="class-code", icon=":material/refresh:", on_click=classroom.renew_code,
                help="The old one lets nobody in any more. Whoever is in stays in.",
            )  # fmt: skip
            st.button(
                "Close the class", key="class-close", icon=":material/door_front:", on_click=classroom.close,
                help="Nobody comes in, and those who are in see that it is closed. Runs stay.",
            )  # fmt: skip


def _reopen_class(classroom: Classroom) -> None:
    classroom.renew_code()
    classroom.reopen()


def _closed_reason(classroom: Classroom) -> str:
    state = classroom.state
    if state.closed:
        return "The class is closed: nobody can come in, and those who were in can do nothing."
    if state.wrong >= MAX_WRONG:
        return f"The join code is locked: it was tried wrongly {state.wrong} times. Make a new one."
    if time.time() >= state.expires:
        return "The join code has expired. Make a new one to let more students in."
    return ""


# Members and queue.


def _students_and_queue(classroom: Classroom | None, database: Database) -> None:
    @st.fragment(run_every=LOOK_SECONDS)
    def live() -> None:
        try:
            _queue(database)
            _members(classroom, database)
        except (ValueError, OSError) as error:
            st.error(notice.escape(str(error)))

    live()


def _queue(database: Database) -> None:
    runs = tracking.list_runs(database, statuses=[*ACTIVE, Status.QUEUED], metrics=[])
    waiting = [run for run in runs if run.status is Status.QUEUED]
    frozen = tracking.queue_frozen(database)
    st.header("Queue", anchor=False)
    state = f"{len(runs) - len(waiting)} train, {len(waiting)} wait"
    st.caption(f"{state}. The queue is frozen: nothing begins." if frozen else f"{state}. People take turns.")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Let the queue go on" if frozen else "Freeze the queue",
            key="class-thaw" if frozen else "class-freeze",  # a second click on either does nothing more
            icon=":material/play_arrow:" if frozen else ":material/ac_unit:",
            on_click=_attempt, args=(lambda: tracking.freeze_queue(database, not frozen),),
            help="What trains goes on; nothing that waits begins.",
        )  # fmt: skip
        with st.popover(
            "Stop all", icon=":material/stop:", disabled=not runs, key=STOP_MENU, on_change="rerun"
        ):
            st.markdown(f"Stops {_counted(len(runs))} of everybody; they can be resumed.")
            st.button(
                f"Stop {_counted(len(runs))}", key="class-stop-all", type="primary",
                on_click=_stop_all, args=(database, [run.id for run in runs]),
            )  # fmt: skip
    turns = {number: turn for turn, number in enumerate(tracking.queue_order(database))}
    owner = visitors.owner_namer(database)
    with st.container(key="class-queue", gap=None):
        for run in sorted(runs, key=lambda run: (turns.get(run.id, -1), run.queued))[:MAX_SHOWN]:
            _queue_row(database, run, owner(run.owner_id) or "you")
    if len(runs) > MAX_SHOWN:
        st.caption(f"and {_counted(len(runs) - MAX_SHOWN)} more, which stand under Runs")


def _queue_row(database: Database, run: RunSummary, owner: str) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(
            f"{run.id} · {notice.escape(run.name)} · {notice.escape(owner)}",
            width="stretch",
        )
        st.caption(run.status.value, width="content")
        st.button(
            "Stop", key=f"class-stop-{run.id}", type="tertiary", icon=":material/stop:",
            on_click=_stop, args=(database, [run.id]), help=f"Stop run {run.id}",
        )  # fmt: skip


def _counted(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _stop(database: Database, ids: list[int]) -> None:
    for number in ids:
        try:
            tracking.request(database, number, Command.STOP)
        except tracking.WrongStateError:
            continue  # it has ended meanwhile
        except (ValueError, OSError) as error:
            notice.defer(str(error))
            return


def _stop_all(database: Database, ids: list[int]) -> None:
    st.session_state[STOP_MENU] = False
    _stop(database, ids)


def _attempt(change: Callable[[], None]) -> None:
    try:
        change()
    except (ValueError, OSError) as error:
        notice.defer(str(error))


def _members(classroom: Classroom | None, database: Database) -> None:
    students = classroom.state.students if classroom else tracking.names_by_key(database)
    st.header("Students" if classroom else "People", anchor=False)
    if not students:
        st.caption("Nobody has joined yet." if classroom else "Nobody has made anything yet.")
        return
    used = tracking.usage_by_key(database)
    if classroom is not None and len(students) >= MAX_STUDENTS:
        idle = [key for key in students if key not in used]
        st.warning(f"The class is full: {MAX_STUDENTS} students have joined it, and nobody else can.")
        st.button(
            f"Remove {len(idle)} who have made nothing", key="class-remove", disabled=not idle,
            on_click=_attempt, args=(lambda: classroom.remove(idle),),
            help="Whoever of them is real joins again. If somebody joins over and over: first a new code.",
        )  # fmt: skip
    st.html(members_table(students, used))


def members_table(students: Mapping[str, str], used: Mapping[str, Usage]) -> str:
    """Return a table of all students with their usage, as HTML.

    Args:
        students: Name by key.
        used: Usage by key; missing for students who have made nothing yet.
    """
    nothing = Usage(0, 0.0, 0, 0)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{usage.waiting}</td><td>{usage.minutes:.0f}</td>'
        f"<td>{numbers.size(usage.disk)}</td><td>{numbers.size(usage.upload)}</td></tr>"
        for key, name in sorted(students.items(), key=lambda item: item[1].casefold())
        for usage in (used.get(key, nothing),)
    )
    head = "<tr><th>name</th><th>waiting</th><th>minutes today</th><th>kept</th><th>handed in</th></tr>"
    return f'<div class="class-members"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


# Limits per student.


def _limits(database: Database) -> None:
    limits = tracking.read_limits(database)
    st.header("Limits", anchor=False)
    st.caption("They hold for every student, and are said before they are hit.")
    with st.form("class-limits", border=False):
        columns = st.columns(2)
        given = {
            name: columns[index % 2].number_input(
                title, min_value=0, max_value=1_000_000, value=getattr(limits, name), step=1,
                help=about, key=f"class-limit-{name}",
            )
            for index, (name, (title, about)) in enumerate(FIELDS.items())
        }  # fmt: skip
        if st.form_submit_button("Save limits"):
            _attempt(lambda: tracking.write_limits(database, Limits(**{n: int(v) for n, v in given.items()})))
            st.rerun()


# Handout.


def _handout_form(classroom: Classroom) -> None:
    st.header("Hand out", anchor=False)
    st.caption("A step of the lesson, or any page: set it up, copy its address under Share, and put it here.")
    titles = [step.title for step in STEPS]
    st.selectbox("What", [NOTHING, ADDRESS, *titles], key="class-what")
    if st.session_state.get("class-what") == ADDRESS:
        st.text_input("Address", key="class-address", max_chars=4_000, placeholder="http://…/train?recipe=…")
        st.text_input("What students read", key="class-title", max_chars=60, placeholder="LeNet-5 on digits")
    st.button("Hand it out", key="class-hand-out", on_click=_store_handout, args=(classroom,))
    if classroom.state.handout:
        st.caption(f"Handed out now: {notice.escape(classroom.state.handout_title)}")


def _store_handout(classroom: Classroom) -> None:
    from urllib.parse import urlencode

    from cnnviz import paths

    chosen = st.session_state["class-what"]
    if chosen == NOTHING:
        classroom.hand_out("", "")
        return
    for number, step in enumerate(STEPS, 1):
        if step.title == chosen:
            query = urlencode({**step.state, "lesson": str(number)})
            classroom.hand_out(f"/{step.page}?{query}", f"step {number}, {step.title}")
            return
    address = st.session_state["class-address"].strip()
    if open_class.parse_address(address, find_pages(paths.ROOT / "pages")) is None:
        notice.defer(f"{quoted(address)} is no address of this app; copy one that stands under Share.")
        return
    classroom.hand_out(address, st.session_state["class-title"].strip() or "a page")
