"""Open class: opening the app to one from Share, and the line below the heading of every page while it is.

It opens as a second app on the network, from a browser on this machine alone: who may do so is checked where
it is drawn, and again by every action (`_local`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

from cnnviz import access
from cnnviz.access import class_process
from cnnviz.access.class_process import ClassLinks, RunningClass
from cnnviz.access.classroom import FILE, Classroom, State, format_expiry, grouped, join_link, teacher_link
from cnnviz.datasets.spec import Progress, Step
from cnnviz.figures import numbers
from cnnviz.paths import home
from cnnviz.ui.components import component
from cnnviz.ui.shared import notice, visitors
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.layout import Page
from cnnviz.ui.shared.runs import run_data

CSS = Path(__file__).with_name("open_class.css")
MINE, KEY = "class-opening-mine", "class-opening-key"
"""What this visitor has begun, and the teacher's key that is shown to them alone."""
ADDRESS = "class-opening-address"
STUDENTS = (
    "Students open the address and type the code and a nickname. They look, train and build, with runs of "
    "their own, take turns in the queue, and change nothing of yours."
)
HTTP = "Plain http: whoever is on the same network can read what is sent, the code too."

Job = BackgroundJob[ClassLinks | None]
_jobs: dict[Path, Job] = {}
"""What is being opened or closed, by home: one for all windows, and it goes on when they are closed."""
_lock = threading.Lock()


def class_section() -> None:
    """Draw the part of Share that opens the app to a class, shows the class that is open, and closes it."""
    st.html(CSS)
    folder = home()
    job = _jobs.get(folder)
    with st.container(key="class-opening", gap="small"):
        if job is not None and job.running:
            redraw_until_ended(job, partial(_progress, job))
            return
        mine: Job | None = st.session_state.get(MINE)
        if mine is not None and mine is job:
            _take_result(mine)
        found = class_process.running(folder)
        if found is None:
            _offer()
            return
        try:
            classroom = Classroom(folder / FILE)
            _running(found, classroom, classroom.state)
        except (ValueError, OSError) as error:
            st.error(notice.error_text(error))


def _take_result(job: Job) -> None:
    """Keep the teacher's key of a class that this visitor has opened, or draw why it was not opened."""
    if job.error is not None and isinstance(job.error, ValueError | OSError):
        st.error(notice.error_text(job.error), icon=":material/info:")
    elif job.error is not None:
        st.error(notice.escape(f"The class could not be opened: {job.error}"))
    elif job.result is not None:
        st.session_state[KEY] = job.result.teacher.rpartition("#")[2]
        del st.session_state[MINE]


# Before it is open.


def _offer() -> None:
    ended = class_process.how_child_ended()
    if ended:
        st.warning(notice.escape(f"The class has ended by itself: {ended}"))
    reached = class_process.hosts()
    if not class_process.POSIX:
        st.caption("Open to the class: this command starts a second app, which students join with a code.")
        st.code(visitors.class_command(), language=None, wrap_lines=True)
        return
    st.button(
        "Open to the class", key="class-opening-open", icon=":material/school:", on_click=_open,
        disabled=not reached,
    )  # fmt: skip
    if not reached:
        st.caption("This computer has no network address that students could reach: connect it, and reload.")
        return
    http = "" if st.get_option("server.sslCertFile") else f"{HTTP} "
    st.caption(
        "Starts a second app, which students on your network join with a code: they look, train and build, "
        f"with runs of their own, and change nothing of yours. {http}It ends with this app, or when you "
        "close it."
    )
    if len(reached) > 1:
        st.selectbox("Address for students", reached, key=ADDRESS)


def _progress(job: Job) -> None:
    seconds = job.stage_seconds
    passed = f", {numbers.duration(seconds)}" if seconds >= 1 else ""
    st.button(
        notice.escape(f"{job.step.stage}{passed} …"), key="class-opening-wait", icon="spinner", disabled=True
    )


# While it is open.


def _running(found: RunningClass, classroom: Classroom, state: State) -> None:
    if state.closed:
        st.markdown("**The class is closed**, and its app still runs.")
        st.caption("The teacher’s page has closed it. Nobody can come in, and who was in can do nothing.")
    else:
        count = len(state.students)
        joined = f"Students so far: {count}." if count else "Nobody has joined yet."
        st.markdown(f"**The class is open.** {joined}")
        _card(found, state)
    key = st.session_state.get(KEY)
    link = teacher_link(found.url, key) if key and classroom.is_teacher_key(key) else ""
    with st.container(horizontal=True, gap="small"):
        if state.closed:
            st.button("Open again", key="class-opening-again", on_click=_act, args=(_reopen,))
        st.button(
            "End the class" if state.closed else "Close the class", key="class-opening-close",
            icon=":material/door_front:", on_click=_close,
            help="Students are told, and the second app ends. Runs stay, and the students for the next time.",
        )  # fmt: skip
        if link:
            st.link_button("Teacher’s page", link, icon=":material/open_in_new:", type="tertiary")
        else:
            st.button(
                "New teacher’s link", key="class-opening-teacher", icon=":material/key:", type="tertiary",
                on_click=_act, args=(_renew_teacher,),
                help="To the page where you see and stop everybody’s runs, hand out and change limits. The "
                "link from before, and whoever opened it, is out.",
            )  # fmt: skip
    if link:
        st.caption("The teacher’s link, shown until you reload. Whoever has it stops everybody’s runs.")
        st.code(link, language=None)
    lasts = (
        "The class goes on when you close this page, and ends with this app."
        if class_process.is_child(found)
        else "Another program has started the class, and it does not end with this app."
    )
    http = HTTP if found.url.startswith("http:") else ""
    st.caption(lasts if state.closed else " ".join(filter(None, (STUDENTS, http, lasts))))


def _card(found: RunningClass, state: State) -> None:
    import segno

    code = segno.make(join_link(found.url, state), error="m").svg_data_uri(scale=4, border=1)
    with st.container(horizontal=True, gap="small", key="class-opening-card"):
        st.html(
            f'<img src="{escape(code)}" alt="QR code of the address with the join code">', width="content"
        )
        with st.container(gap=None, width="stretch"):
            st.caption("Address")
            st.code(found.url, language=None, wrap_lines=True)
            st.caption(f"Join code, until {format_expiry(state)}")
            st.code(grouped(state.code), language=None)


# Actions, each checked.


def _local() -> bool:
    """Return whether the session may act; else a sentence says so."""
    if visitors.may_open_class():
        return True
    notice.defer("Only a browser on the app's own computer opens it to a class.")
    return False


def _open() -> None:
    if not _local():
        return
    folder, reached = home(), class_process.hosts()
    chosen = st.session_state.get(ADDRESS)
    host = chosen if chosen in reached else next(iter(reached), "")

    def work(report: Progress) -> ClassLinks:
        return class_process.open_class(folder, host, options, lambda stage: report(Step(stage, 0, None)))

    options = [
        f"--{name}={Path(given).resolve()}"
        for name in ("server.sslCertFile", "server.sslKeyFile")
        if (given := st.get_option(name))
    ]
    _begin(folder, work, "Starting")


def _close() -> None:
    if not _local():
        return
    folder = home()

    def work(report: Progress) -> None:
        class_process.close_class(folder, lambda stage: report(Step(stage, 0, None)))

    _begin(folder, work, "Closing")


def _begin(folder: Path, work: Callable[[Progress], ClassLinks | None], stage: str) -> None:
    with _lock:
        if (job := _jobs.get(folder)) is None or not job.running:
            job = _jobs[folder] = BackgroundJob(work, Step(stage, 0, None), "class-opening")
            st.session_state[MINE] = job


def _act(change: Callable[[Classroom], None]) -> None:
    if _local():
        try:
            change(Classroom(home() / FILE))
        except (ValueError, OSError) as error:
            notice.defer(str(error))


def _reopen(classroom: Classroom) -> None:
    classroom.renew_code()
    classroom.reopen()


def _renew_teacher(classroom: Classroom) -> None:
    st.session_state[KEY] = classroom.renew_teacher()


# The line below the heading of every page while a class is open: user, limits, handout.

HERE = Path(__file__).parent
PAGE = Page(
    title="Class",
    icon=":material/school:",
    order=99,
    blurb="Who is here, what trains, and how much each may have.",
)
"""Page header of the teacher's page."""


def draw(class_page: Any, pages: Mapping[str, Page], at_class: bool) -> bool:
    """Draw the class line; return False if no page may follow: class closed, or not signed in.

    Args:
        class_page: The route of the teacher's page.
        pages: All pages by name.
        at_class: Whether the teacher's page is shown.
    """
    classroom, who = visitors.classroom(), access.principal()
    if classroom is not None and not who.manages:
        _watch()
    if classroom is not None and not who.may_write:
        st.warning("The class is closed. Your runs stay; reload this page once it is open again.")
        return False
    reached = ""
    with st.container(
        horizontal=True,
        gap="small",
        vertical_alignment="center",
        key="class-line",
        horizontal_alignment="right",
    ):
        if who.manages and not at_class:
            st.page_link(class_page, label="Class" if classroom else "People", icon=":material/school:")
        if classroom is None and not who.may_write:
            _sign_in()
        elif classroom is None or not who.manages:
            reached = _person(classroom, who)
    if reached:
        st.warning(notice.escape(reached), icon=":material/hourglass_bottom:")
    if classroom is not None:
        _handout(classroom, pages, "You hand out" if who.manages else "Your teacher hands out")
    policy = visitors.sign_in()
    if policy is not None and not policy.guests and not who.may_write:
        st.info("Sign in to see what is here.", icon=":material/lock:")
        return False
    return True


def _watch() -> None:
    """Let the browser find out that the class was closed or is gone; nothing is drawn."""
    base = visitors.base_path()
    with st.container(key="class-watch"):
        component("class_watch", HERE, js=("class_watch.js",), html="")(
            key="class-watch-script", data={"base": f"/{base}" if base else ""}, height="content"
        )


def _sign_in() -> None:
    """Draw a button for each provider in Streamlit's secrets."""
    names = providers(st.secrets.get("auth", {}))
    for name in names:
        label = f"Sign in with {name}" if name else "Sign in"
        st.button(
            label, key=f"sign-in-{name}", icon=":material/login:", type="tertiary",
            on_click=st.login, args=(name,) if name else (),
        )  # fmt: skip
    if not names:
        st.caption("Nobody can sign in: .streamlit/secrets.toml has no [auth] yet.")


def providers(auth: Mapping[str, Any]) -> list[str]:
    """Return the names of the providers in Streamlit's `[auth]` section; `[""]` for a single unnamed one."""
    named = [
        name for name, section in auth.items() if isinstance(section, Mapping) and "client_id" in section
    ]
    return named or ([""] if "client_id" in auth else [])


def _person(classroom: Classroom | None, who: access.Principal) -> str:
    """Draw the visitor's name, with usage and key behind it, after limits of which little is left.

    Returns:
        A message on the limit that is reached; empty if none is.
    """
    from cnnviz import tracking

    problem = used = reached = ""
    try:
        database = run_data.database()
        usage, limits = tracking.read_usage(database), tracking.read_limits(database)
    except (ValueError, OSError) as error:
        problem = str(error)
    else:
        used = "\n".join(f"- {part}" for part in usage.summary(limits).split(" · "))
        reached = "" if who.manages else usage.exhausted(limits)
        if not who.manages and (near := usage.near(limits)):
            st.caption(notice.escape(near), width="content")
    with st.popover(notice.escape(who.name), icon=":material/person:", type="tertiary"):
        if problem:
            st.caption(notice.escape(problem))
        else:
            st.markdown("**What you have**")
            st.markdown(used)
        if classroom is None:
            st.button("Sign out", key="sign-out", type="tertiary", on_click=st.logout)
            return reached
        st.markdown("**Your own key**")
        st.caption("With it you are the same person on another computer. Keep it to yourself.")
        st.code(grouped(classroom.student_key(who.key)), language=None)
        base = visitors.base_path()
        # Not `st.link_button`: it opens another tab, and in this one who left would still be here.
        leave = f"/{base}/leave" if base else "/leave"
        st.html(f'<a class="class-leave" href="{leave}">Leave the class</a>')
    return reached


def _handout(classroom: Classroom, pages: Mapping[str, Page], lead: str) -> None:
    """Draw the link to the teacher's handout."""
    state = classroom.state
    target = parse_address(state.handout, pages)
    if target is not None:
        page, query = target
        with st.container(key="class-handout", border=True):
            st.page_link(
                f"{page}.py", label=f"{lead}: {notice.escape(state.handout_title)}",
                icon=":material/assignment:", query_params=query,
            )  # fmt: skip


def parse_address(address: str, pages: Mapping[str, Page]) -> tuple[str, dict[str, str]] | None:
    """Return the page and query parameters of an address of this app; None for any other."""
    if not address or len(address) > 4_000:
        return None
    try:
        split = urlsplit(address)
        name = split.path.rstrip("/").rpartition("/")[2]
        query = dict(parse_qsl(split.query, max_num_fields=100))
    except ValueError:
        return None
    first = next(iter(pages))
    return (name or first, query) if (name or first) in pages else None
