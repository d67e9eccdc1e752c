"""`cnnviz app`: what Streamlit is started with, and what is refused before it starts."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config

from cnnviz import paths
from cnnviz.cli import main
from cnnviz.cli.commands import app


class StartedError(Exception):
    """Raised in place of becoming Streamlit's process."""


@pytest.fixture(autouse=True)
def stopped_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(_program: str, command: list[str], environment: dict[str, str]) -> None:
        raise StartedError(command, environment)

    monkeypatch.setattr(os, "execve", execve)
    for name in [name for name in os.environ if name.startswith("STREAMLIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def started(*arguments: str) -> tuple[list[str], dict[str, str]]:
    with pytest.raises(StartedError) as caught:
        main(["app", *arguments])
    command, environment = caught.value.args
    return command, environment


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["app", *arguments]) == 2
    return capsys.readouterr().err


def test_the_app_of_this_copy_is_started_on_this_machine_only() -> None:
    command, _ = started()
    assert command[2:6] == ["-m", "streamlit", "run", str(paths.APP)]
    assert "--server.address=localhost" in command


def test_options_are_handed_on(tmp_path: Path, taken: int) -> None:
    home = tmp_path / "new" / "home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = started("--port", str(port), "--address", "127.0.0.1", "--home", str(home))
    assert {f"--server.port={port}", "--server.address=127.0.0.1"} <= set(command)
    assert environment["CNNVIZ_HOME"] == str(home)
    assert home.is_dir()


def test_networks_that_are_named_are_known_to_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNNVIZ_MODELS", "")
    monkeypatch.chdir(tmp_path)
    source = "from torch import nn\ndef one(): return nn.Flatten()\ndef two(): return nn.Conv2d(1, 2, 3)\n"
    Path("net.py").write_text(source, encoding="utf-8")
    _, environment = started("--model", "net.py:one", "--model", "net.py:two")
    named = environment["CNNVIZ_MODELS"].split(f"{tmp_path}/net.py:")
    assert [name.strip(os.pathsep) for name in named] == ["", "one", "two"]
    assert "two gives 2×30×30 for an image" in capsys.readouterr().err
    assert "There is no 'three' in net.py" in refused(capsys, "--model", "net.py:three")


def test_a_relative_home_is_of_the_folder_the_command_was_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert started("--home", "mine")[1]["CNNVIZ_HOME"] == str(tmp_path / "mine")


def test_what_follows_two_dashes_comes_last_so_that_it_wins() -> None:
    assert started("--", "--server.baseUrlPath", "viz")[0][-2:] == ["--server.baseUrlPath", "viz"]


def test_a_variable_of_streamlit_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "viz")
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "127.0.0.1")
    command, _ = started()
    assert not [option for option in command if "baseUrlPath" in option]
    assert "--server.address=127.0.0.1" in command


def test_without_a_port_the_first_free_one_is_taken(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(app, "FIRST_PORT", taken)
    command, _ = started("--address", "127.0.0.1")
    (port,) = (option for option in command if option.startswith("--server.port="))
    assert taken < int(port.partition("=")[2]) < taken + app.PORTS


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str], taken: int) -> None:
    error = refused(capsys, "--address", "127.0.0.1", "--port", str(taken))
    assert error == f"cnnviz: Port {taken} of 127.0.0.1 cannot be listened at: Address already in use.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "0"), "greater than or equal to 1"),
        (("--port", "many"), "a valid integer"),
        (("--address", "no such host"), "No port of no such host can be listened at"),
        (("--address", "192.0.2.1"), "192.0.2.1"),
    ],
)
def test_what_cannot_be_listened_at_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    error = refused(capsys, *arguments)
    assert words in error
    assert error.count("\n") == 1


def test_a_variable_that_is_no_port_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "http")
    assert "is a number from 1 to 65535, not 'http'." in refused(capsys)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert "--home takes a folder" in refused(capsys, "--home", str(tmp_path / "file"))
    assert str(tmp_path / "file") in refused(capsys, "--home", str(tmp_path / "file" / "below"))


def test_settings_are_streamlits_defaults_under_its_own_names() -> None:
    options = config.get_config_options()
    for name, value in app.SETTINGS.items():
        assert str(options[name].default_val).lower() == value
        assert options[name].env_var == app._variable(name)


def test_settings_do_not_repeat_what_the_apps_own_file_says() -> None:
    ours = tomllib.loads((paths.ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert not [name for name in app.SETTINGS if name.partition(".")[2] in ours[name.partition(".")[0]]]


def test_what_ships_is_found() -> None:
    assert paths.APP.is_file()
    assert (paths.CHECKPOINTS / "lenet5-mnist" / "weights.safetensors").is_file()
