"""The app of a class as another app's process: opened, refused, recognized, closed, and never left over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cnnviz.access import NotAllowedError, Principal, Role, acting, class_process
from cnnviz.access.classroom import FILE, HOSTS_VARIABLE, PATH_VARIABLE, Classroom
from cnnviz.ui.shared import startup

STAND_IN = """
import http.server, json, os, signal, sys, threading
from pathlib import Path
from cnnviz.access import class_process
from cnnviz.access.classroom import Classroom

class OkHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

folder = Path(sys.argv[1])
key = Classroom(folder / "class.json").open()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OkHandler)
url = f"http://127.0.0.1:{server.server_port}"
print("something of a library", flush=True)
print(json.dumps({"url": url, "code": "", "expires": 0, "teacher": f"{url}/teach#{key}"}), flush=True)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
class_process.end_with_parent()
with class_process.recorded(folder, url):
    server.serve_forever()
print("the end", flush=True)
"""
"""Prints, records itself, answers and ends as the app of a class does, without its pages."""
MEMBER = Principal("class 1", "Ada", Role.MEMBER)


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(class_process, "_child", None)
    monkeypatch.setattr(class_process, "TELL_SECONDS", 0.0)
    yield
    class_process.end_child()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of the stand-in, which is started in place of `cnnviz class`."""
    script = tmp_path / "class.py"
    script.write_text(STAND_IN, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path)]
    monkeypatch.setattr(class_process, "_command", lambda *_: command)
    return command


def printing(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Start this in place of `cnnviz class`."""
    monkeypatch.setattr(class_process, "_command", lambda *_: [sys.executable, "-c", code])


@pytest.mark.usefixtures("stand_in")
def test_a_class_is_opened_and_closed(tmp_path: Path) -> None:
    stages: list[str] = []
    links = class_process.open_class(tmp_path, "localhost", report=stages.append)
    classroom, found = Classroom(tmp_path / FILE), class_process.running(tmp_path)
    assert stages[0] == "The second app starts"
    assert found is not None
    assert found.url == links.url
    assert class_process.is_child(found)
    assert classroom.is_teacher_key(links.teacher.rpartition("#")[2])
    with pytest.raises(ValueError, match="A class is open already"):
        class_process.open_class(tmp_path, "localhost")

    class_process.close_class(tmp_path)
    assert classroom.state.closed
    assert class_process.running(tmp_path) is None
    assert not psutil.pid_exists(found.pid)
    assert class_process.how_child_ended() == ""
    with socket.create_server(("127.0.0.1", int(links.url.rpartition(":")[2]))):
        pass  # the port is free
    class_process.close_class(tmp_path)  # by a second window that has not seen it yet
    assert class_process.open_class(tmp_path, "localhost").teacher != links.teacher
    assert not classroom.state.closed


@pytest.mark.usefixtures("stand_in")
def test_the_end_of_the_app_ends_the_class(tmp_path: Path) -> None:
    class_process.open_class(tmp_path, "localhost")
    found = class_process.running(tmp_path)
    with startup.class_tended():
        pass
    assert found is not None
    assert not psutil.pid_exists(found.pid)
    assert class_process.running(tmp_path) is None


def test_a_class_ends_when_the_app_that_opened_it_was_killed(tmp_path: Path, stand_in: list[str]) -> None:
    """What is left of a killed app is the closed end of a pipe."""
    child = subprocess.Popen(
        stand_in, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=class_process._environment()
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        child.stdin.close()
        assert child.stdout.read().endswith(b"the end\n")
    assert class_process.running(tmp_path) is None


def test_a_class_of_the_command_line_is_recognized_and_closed(tmp_path: Path, stand_in: list[str]) -> None:
    command_line = {name: value for name, value in os.environ.items() if name != class_process.CHILD_VARIABLE}
    child = subprocess.Popen(
        stand_in, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        env=command_line | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        while (found := class_process.running(tmp_path)) is None:
            assert child.poll() is None
        assert found.pid == child.pid
        assert not class_process.is_child(found)
        with pytest.raises(ValueError, match="A class is open already"):
            class_process.open_class(tmp_path, "localhost")
        class_process.end_child()  # the end of an app ends its own class only
        assert child.poll() is None
        class_process.close_class(tmp_path)
        assert child.wait() == 0
    assert Classroom(tmp_path / FILE).state.closed


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "import sys; print('cnnviz: No port of 0.0.0.0 can be listened at: In use.'); sys.exit(2)",
            "The class could not be opened. No port of 0.0.0.0 can be listened at: In use.",
        ),
        ("print('{\"url\": \"http://localhost:1\", \"teacher\": \"\"}'); print('Taken')", "Taken."),
        ("print('{not JSON')", "{not JSON."),
        ("pass", "The class could not be opened. It printed nothing."),
    ],
)  # fmt: skip
def test_a_class_that_does_not_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    printing(monkeypatch, code)
    with pytest.raises(ValueError, match="could not be opened") as caught:
        class_process.open_class(tmp_path, "localhost")
    assert str(caught.value).endswith(sentence)
    assert class_process.how_child_ended() in ("", "Taken.")


def test_the_command_itself_refuses_with_its_sentence(tmp_path: Path) -> None:
    """`cnnviz class` is what is started, and takes these options."""
    (tmp_path / "home").touch()
    with pytest.raises(ValueError, match=r"could not be opened\. --home takes a folder"):
        class_process.open_class(tmp_path / "home", "localhost", ["--server.sslCertFile=cert.pem"])


@pytest.mark.usefixtures("stand_in")
def test_a_class_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_process, "START_SECONDS", 1.0)
    monkeypatch.setattr(class_process, "_answers", lambda _url: False)
    with pytest.raises(ValueError, match="did not answer"):
        class_process.open_class(tmp_path, "localhost")
    assert class_process.running(tmp_path) is None


def test_who_gives_up_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class GivenUpError(Exception):
        pass

    def report(_stage: str) -> None:
        raise GivenUpError

    printing(monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(GivenUpError):
        class_process.open_class(tmp_path, "localhost", report=report)
    assert class_process._child is not None
    assert class_process._child.ended


@pytest.mark.usefixtures("stand_in")
def test_a_class_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    class_process.open_class(tmp_path, "localhost")
    found, child = class_process.running(tmp_path), class_process._child
    assert found is not None
    assert child is not None
    os.kill(found.pid, signal.SIGTERM)
    child._listener.join()
    assert class_process.how_child_ended() == "the end."
    assert class_process.running(tmp_path) is None


def test_a_record_of_another_process_is_no_class(tmp_path: Path) -> None:
    with class_process.recorded(tmp_path, "http://localhost:1"):
        found = class_process.running(tmp_path)
        assert found is not None
        record = tmp_path / class_process.RECORD
        written = record.read_text(encoding="utf-8")
        for other in (
            written.replace(str(found.started), str(found.started - 60)),  # the PID was given again
            written.replace(str(found.pid), "999999999"),
            "{}", "", "[]",
        ):  # fmt: skip
            record.write_text(other, encoding="utf-8")
            assert class_process.running(tmp_path) is None
            class_process.close_class(tmp_path)  # ends nobody
        record.write_text(written, encoding="utf-8")
    assert not record.exists()


def opening(home: Path) -> object:
    return class_process.open_class(home, "localhost")


@pytest.mark.parametrize("act", [opening, class_process.close_class])
def test_only_the_local_user_of_an_app_without_a_class_opens_or_closes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], object]
) -> None:
    def popen(*_: object, **_options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with class_process.recorded(tmp_path, "http://localhost:1"):
        with acting(MEMBER), pytest.raises(NotAllowedError, match="from this computer"):
            act(tmp_path)
        monkeypatch.setenv(PATH_VARIABLE, str(tmp_path / FILE))  # also its teacher, by whose cookie it is
        with pytest.raises(NotAllowedError, match="from this computer"):
            act(tmp_path)
        assert class_process.running(tmp_path) is not None


def test_the_second_app_has_an_address_of_its_own_and_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8501")
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "localhost")
    monkeypatch.setenv("CNNVIZ_LEAN", "1")
    environment = class_process._environment()
    assert {"STREAMLIT_SERVER_PORT", "STREAMLIT_SERVER_ADDRESS"}.isdisjoint(environment)
    assert (environment["CNNVIZ_LEAN"], environment[startup.CHILD_VARIABLE]) == ("1", "1")
    home = tmp_path / "a home; with a name"
    options = ["--server.sslCertFile=cert.pem"]
    command = class_process._command(home, ["a.example"], options)
    assert command[:5] == [sys.executable, "-P", "-m", "cnnviz", "class"]
    assert command[5:] == ["--json", f"--home={home}", "--host=a.example", "--", *options]


def test_names_come_before_addresses_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_stats", dict)
    monkeypatch.delenv(HOSTS_VARIABLE, raising=False)
    assert class_process.hosts() == []
    monkeypatch.setattr(class_process, "network_addresses", lambda: ["192.168.1.5"])
    monkeypatch.setenv(HOSTS_VARIABLE, "cnn.school.example, cnn")
    assert class_process.hosts() == ["cnn.school.example", "cnn", "192.168.1.5"]
