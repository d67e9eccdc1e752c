"""`cnnviz class`: what it prints, and what the app is started with."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from cnnviz.access import classroom
from cnnviz.access.classroom import Classroom, normalized
from cnnviz.cli import main


class StartedError(Exception):
    """Raised in place of becoming Streamlit's process."""


@pytest.fixture(autouse=True)
def stopped_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(_program: str, command: list[str], environment: dict[str, str]) -> None:
        raise StartedError(command, environment)

    monkeypatch.setattr(os, "execve", execve)
    for name in [name for name in os.environ if name.startswith("STREAMLIT_")]:
        monkeypatch.delenv(name)


def started(*arguments: str) -> tuple[list[str], dict[str, str]]:
    with pytest.raises(StartedError) as caught:
        main(["class", *arguments])
    command, environment = caught.value.args
    return command, environment


def test_the_class_is_bound_to_the_network_and_knows_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, environment = started("--home", str(tmp_path), "--host", "cnn.school.example")
    assert {"--server.address=0.0.0.0", "--server.headless=true", "--server.maxUploadSize=100"} <= set(
        command
    )
    assert "--client.showErrorDetails=none" in command
    opened = Classroom(Path(environment[classroom.PATH_VARIABLE]))
    assert opened.path == tmp_path / "class.json"
    assert environment[classroom.HOSTS_VARIABLE] == "cnn.school.example"
    printed = capsys.readouterr().out
    assert "The class is open at  http://cnn.school.example:" in printed
    code = re.search(r"Join code\s+(\S+)", printed)
    assert code is not None
    assert normalized(code[1]) == opened.state.code
    assert "can read what is sent" in printed
    key = re.search(r"/teach#(\S+)", printed)
    assert key is not None
    assert opened.principal(opened.teach(key[1])) is not None
    # Neither code nor key goes through the command line or the environment, where other processes read them.
    seen = " ".join([*command, *environment.values()])
    assert key[1] not in seen
    assert opened.state.code not in seen


def test_json_is_one_line_with_what_else_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, environment = started("--home", str(tmp_path), "--host", "a.example", "--json")
    printed = json.loads(capsys.readouterr().out)
    opened = Classroom(Path(environment[classroom.PATH_VARIABLE]))
    assert printed["url"] == environment[classroom.URL_VARIABLE]
    assert normalized(printed["code"]) == opened.state.code
    assert printed["expires"] == opened.state.expires
    assert printed["teacher"].startswith(f"{printed['url']}/teach#")
    assert opened.is_teacher_key(printed["teacher"].rpartition("#")[2])


def test_https_is_shown_and_no_warning_of_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started("--home", str(tmp_path), "--host", "a.example", "--", "--server.sslCertFile=cert.pem")
    printed = capsys.readouterr().out
    assert "https://a.example:" in printed
    assert "can read what is sent" not in printed


@pytest.mark.parametrize(
    "options",
    [("--server.baseUrlPath=/cnn/",), ("--server.baseUrlPath", "cnn"), ()],
    ids=["=", "apart", "variable"],
)
def test_a_base_path_is_part_of_every_address(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    if not options:
        monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "cnn")
    _, environment = started("--home", str(tmp_path), "--host", "a.example", "--", *options)
    assert re.search(r"http://a\.example:\d+/cnn/teach#", capsys.readouterr().out)
    assert re.fullmatch(r"http://a\.example:\d+/cnn", environment[classroom.URL_VARIABLE])


def test_a_port_given_to_streamlit_is_the_one_that_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started("--home", str(tmp_path), "--host", "a.example", "--", "--server.port", "18443")
    assert "http://a.example:18443/teach#" in capsys.readouterr().out


def test_no_other_site_is_asked_for_an_address(tmp_path: Path) -> None:
    """Streamlit asks one for the address to print if it is told none, and waits for it without internet."""
    command, _ = started("--home", str(tmp_path), "--host", "a.example")
    assert "--browser.serverAddress=a.example" in command


@pytest.mark.parametrize("name", ["http://a.example", "a.example:80", "a.example/cnn", "a b", "", "-"])
def test_what_is_no_name_is_refused_before_a_class_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["class", "--home", str(tmp_path), "--host", name]) == 2
    assert "--host takes a name alone" in capsys.readouterr().err
    assert not (tmp_path / "class.json").exists()


def test_a_class_that_is_open_is_not_opened_by_a_second_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started("--home", str(tmp_path))
    running, late = Classroom(tmp_path / "class.json"), Classroom(tmp_path / "class.json")
    code = running.state.code
    assert running.hold()
    assert not late.hold()
    assert main(["class", "--home", str(tmp_path)]) == 2
    assert "A class is open already in" in capsys.readouterr().err
    assert late.state.code == code
    running.release()
    started("--home", str(tmp_path))


def test_another_start_keeps_the_students(tmp_path: Path) -> None:
    started("--home", str(tmp_path))
    opened = Classroom(tmp_path / "class.json")
    code, cookie = opened.state.code, opened.join(opened.state.code, "Ada")
    opened.hand_out("/train", "a recipe")
    started("--home", str(tmp_path))
    assert opened.state.code != code
    assert (opened.state.handout, opened.state.handout_title) == ("/train", "a recipe")
    assert opened.principal(cookie) is not None
