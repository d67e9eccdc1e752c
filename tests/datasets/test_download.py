"""Downloads over a real connection: resumed, checked, and never left looking whole."""

import hashlib
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz.datasets import DataError, Step, download
from cnnviz.datasets.download import Remote, fetch
from cnnviz.datasets.spec import silent
from tests.datasets.serving import Server, serving

DATA = random.Random(0).randbytes(1_000_000)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"data.bin": DATA, "empty.bin": b""}) as running:
        yield running


@pytest.fixture
def remote(server: Server) -> Remote:
    return Remote([server.url("data.bin")], "data.bin", hashlib.md5(DATA).hexdigest())


def test_a_file_arrives_with_progress(server: Server, remote: Remote, tmp_path: Path) -> None:
    steps: list[Step] = []
    path = fetch(remote, tmp_path / "new", steps.append)
    assert path.read_bytes() == DATA
    assert os.listdir(path.parent) == ["data.bin"]
    assert steps[-1] == Step("downloading data.bin", len(DATA), len(DATA), "bytes")
    assert [step.done for step in steps] == sorted(step.done for step in steps)


def test_what_is_here_is_not_fetched_again(server: Server, remote: Remote, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(remote, tmp_path, silent)
    assert len(server.asked) == 1


@pytest.mark.parametrize("resumes", [True, False])
def test_a_broken_connection_leaves_a_part_and_the_next_try_goes_on(
    server: Server, remote: Remote, tmp_path: Path, resumes: bool
) -> None:
    server.break_after, server.resumes = 300_000, resumes
    with pytest.raises(DataError, match=r"127\.0\.0\.1: stopped after 300,000 of 1,000,000 bytes.*try again"):
        fetch(remote, tmp_path, silent)
    assert os.listdir(tmp_path) == ["data.bin.part"]
    assert fetch(remote, tmp_path, silent).read_bytes() == DATA
    assert server.asked[1] == ("data.bin", "bytes=300000-")
    assert os.listdir(tmp_path) == ["data.bin"]


def test_a_whole_part_needs_only_its_name(server: Server, remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(DATA)
    assert fetch(remote, tmp_path, silent).read_bytes() == DATA


@pytest.mark.parametrize("left", [b"rubbish", DATA + b"more"], ids=["other", "longer"])
def test_a_part_that_is_something_else_is_thrown_away(
    server: Server, remote: Remote, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "data.bin.part").write_bytes(left)
    with pytest.raises(DataError, match="the checksum differs"):
        fetch(remote, tmp_path, silent)
    assert os.listdir(tmp_path) == []
    assert fetch(remote, tmp_path, silent).read_bytes() == DATA


def test_the_next_address_is_tried(server: Server, remote: Remote, tmp_path: Path) -> None:
    missing, wrong = server.url("missing.bin"), server.url("empty.bin")
    path = fetch(Remote([missing, wrong, *remote.urls], remote.name, remote.md5), tmp_path, silent)
    assert path.read_bytes() == DATA


def test_without_a_network_one_sentence_says_so(tmp_path: Path) -> None:
    with serving({}) as gone:
        url = gone.url("data.bin")
    with pytest.raises(DataError) as refused:
        fetch(Remote([url], "data.bin", ""), tmp_path, silent)
    assert re.fullmatch(
        r"data\.bin could not be downloaded \(127\.0\.0\.1: Connection refused\); check the connection and "
        r"try again, which goes on where this stopped \('digits' and 'shapes' need no network\)\.",
        str(refused.value),
    )


def test_a_server_that_offers_too_much_is_refused(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="offers 1,000,000 bytes, far too many"):
        fetch(remote, tmp_path, silent)


def test_an_interrupted_download_is_resumed(server: Server, remote: Remote, tmp_path: Path) -> None:
    """Ctrl-C in the middle, as an exception from the progress callback."""

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(remote, tmp_path, interrupt)
    assert os.listdir(tmp_path) == ["data.bin.part"]
    assert fetch(remote, tmp_path, silent).read_bytes() == DATA
    assert server.asked[1][1] is not None
