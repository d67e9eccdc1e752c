"""Output that cannot take every character: each command prints all the same, tables aligned, JSON valid."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.cli.output import accept_any_character, fit
from cnnviz.tracking import Status

ENCODINGS = ("ascii", "latin-1", "cp1252", "cp437")
NAME = "größe × σ → “naïve” … 数字"
COMMANDS = [
    ("--help",),
    ("models",),
    ("models", "--json"),
    ("summary", "lenet5"),
    ("summary", "lenet5", "--json"),
    ("summary", "lenet5", "--csv"),
    ("summary", "lenet5", "--markdown"),
    ("summary", "alexnet-cifar10", "small-alexnet"),
    ("data", "list"),
    ("data", "info", "digits"),
    ("data", "info", "digits", "--json"),
    ("recipes", "list"),
    ("recipes", "list", "--json"),
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "show", "1"),
    ("runs", "show", "1", "--json"),
    ("runs", "resume", "1"),
    ("runs", "delete", "1"),
    ("runs", "export", "1"),
    ("runs", "export", "1", "--format", "csv"),
    ("experiment", "list"),
    ("experiment", "list", "--json"),
    ("experiment", "show", "dropout"),
    ("experiment", "show", "dropout", "--json"),
    ("diagnose", "--causes"),
    ("diagnose", "--causes", "--json"),
    ("summary", f"{NAME}"),
    ("predict", f"{NAME}.png"),
    ("features", f"{NAME}.png"),
    ("train", f"{NAME}.json"),
    ("data", "info", NAME),
]


@pytest.fixture
def _a_run() -> None:
    with tracking.connect() as database:
        run = tracking.create_run(
            database, {"note": NAME}, model="lenet5", dataset="digits", seed=0, name=NAME, total_epochs=1
        )
        lease = tracking.claim(database, "cpu")
        assert lease is not None
        tracking.begin(database, lease)
        tracking.end(database, lease, Status.FAILED, error=NAME)
        assert run.id == 1


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> tuple[bytes, bytes]:
    """What a command writes to outputs of an encoding that refuses what it cannot take, as Python's do."""
    outputs = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    with monkeypatch.context() as patched:
        for name, stream in outputs.items():
            patched.setattr(sys, name, stream)
        main(arguments)
    for stream in outputs.values():
        stream.flush()
    out, err = (stream.buffer for stream in outputs.values())
    assert isinstance(out, io.BytesIO)
    assert isinstance(err, io.BytesIO)
    return out.getvalue(), err.getvalue()


@pytest.mark.usefixtures("_a_run")
@pytest.mark.parametrize(
    "encoding",
    # The narrowest, and one that lacks other characters; the rest by `make soak`.
    ["ascii", "cp437", *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "cp1252"))],
)
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_prints_what_the_output_can_take(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], encoding: str
) -> None:
    out, err = printed(monkeypatch, encoding, *arguments)
    assert out or err
    assert b"codec" not in err
    assert b"codec" not in out
    if "export" in arguments:
        out.decode("utf-8")  # A document, to the letter.
        return
    assert (out + err).decode(encoding)
    if "--json" in arguments:
        assert out.isascii()
        json.loads(out)


@pytest.mark.usefixtures("_a_run")
def test_json_says_the_same_in_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    document = [json.loads(printed(monkeypatch, name, "runs", "list", "--json")[0]) for name in ENCODINGS]
    assert [entry["name"] for (entry,) in document] == [NAME] * len(ENCODINGS)


@pytest.mark.usefixtures("_a_run")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_columns_stand_where_they_stand_in_utf_8(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    narrow = printed(monkeypatch, encoding, "runs", "list")[0].decode(encoding)
    wide = printed(monkeypatch, "utf-8", "runs", "list")[0].decode()
    assert [len(line) for line in narrow.splitlines()] == [len(line) for line in wide.splitlines()]
    assert narrow.splitlines()[2].index("failed") == wide.splitlines()[2].index("failed")
    assert NAME in wide


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "CNNVIZ_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "cnnviz", "summary", "lenet5"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.isascii()
    assert b"1x28x28" in done.stdout


def test_a_file_s_name_that_is_no_utf_8_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = printed(monkeypatch, "utf-8", "summary", os.fsdecode(b"caf\xe9"))
    assert not out
    assert b"caf?" in err


def test_prose_is_spelled_out() -> None:
    assert fit("σ ≥ √2 → …", "ascii") == "sigma >= sqrt 2 -> ..."
    assert fit("größe × ½ 数", "latin-1") == "größe × ½ ?"


@given(st.text(), st.sampled_from(ENCODINGS))
def test_any_text_is_taken(text: str, encoding: str) -> None:
    assert fit(text, encoding).encode(encoding).decode(encoding) == fit(text, encoding)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    accept_any_character(stream)
    accept_any_character(stream)
    stream.write(text)
    stream.flush()


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_escaped_and_says_the_same(value: object) -> None:
    for document in ([value], {"value": value}):
        text = fit(json.dumps(document, ensure_ascii=False), "latin-1")
        assert text.isascii()
        assert json.loads(text) == document
