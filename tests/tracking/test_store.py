"""The store: complete or absent, fenced, digested, bounded on the reading side, silent about its address."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database, StaleAttemptError, Status, run_files
from cnnviz.tracking import store as storing
from cnnviz.tracking.store import Store, StoreError, open_store
from tests.tracking.making import begin, claim

START_SECONDS = 120.0


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a local S3 server (moto's), with a bucket `runs`; skips where moto is not installed."""
    apart = Path(sys.prefix) / "s3" / "bin" / "python"  # Where `make test` installs it.
    if not apart.exists() and importlib.util.find_spec("moto") is None:
        pytest.skip("needs moto, which make test installs apart (requirements-dev-s3.txt)")
    interpreter = str(apart) if apart.exists() else sys.executable
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [interpreter, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _make_bucket(address, process)
            yield address
        finally:
            process.kill()


def _make_bucket(address: str, process: subprocess.Popen[bytes]) -> None:
    until, pause = time.monotonic() + START_SECONDS, threading.Event()
    while True:
        try:
            request = urllib.request.Request(f"{address}/runs", method="PUT")
            urllib.request.urlopen(request, timeout=START_SECONDS).close()
            return
        except OSError:
            assert process.poll() is None, "the S3 server has ended"
            assert time.monotonic() < until, "the S3 server did not start"
            pause.wait(0.1)


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store of each kind, opened from CNNVIZ_STORE."""
    address = {
        "folder": str(tmp_path / "store"),
        "file": f"file://{tmp_path}/store",
        "memory": f"memory://{secrets.token_hex(4)}/runs",
        "s3": f"s3://runs/{secrets.token_hex(4)}",
    }[request.param]
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_server"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(storing.VARIABLE, address)
    found = open_store()
    assert found is not None
    return found


def test_what_is_put_comes_back_and_can_be_listed_and_removed(store: Store, tmp_path: Path) -> None:
    source, copy = tmp_path / "a.bin", tmp_path / "there" / "b.bin"
    source.write_bytes(os.urandom(3_000_000))
    digest = store.put(source, "runs/1/last-1-5.safetensors")
    assert digest == storing.sha256_of(source)
    assert store.holds("runs/1/last-1-5.safetensors")
    store.get("runs/1/last-1-5.safetensors", digest, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert store.names("runs/1") == ["runs/1/last-1-5.safetensors"]
    store.delete("runs/1/last-1-5.safetensors")
    store.delete("runs/1/last-1-5.safetensors")
    assert store.names("runs/1") == []
    assert not store.holds("runs/1/last-1-5.safetensors")


def test_a_check_of_a_store_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.check()
    if store.protocol == "file":
        assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    found = open_store(str(tmp_path / "file"))
    assert found is not None
    with pytest.raises(StoreError, match=r"^The store \(CNNVIZ_STORE\) cannot be written: .+\.$") as caught:
        found.check()
    assert str(tmp_path) not in str(caught.value)


def test_what_is_absent_or_changed_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    source, copy = tmp_path / "a.bin", tmp_path / "b.bin"
    source.write_bytes(b"weights")
    with pytest.raises(StoreError, match=r"'x\.bin' is not in the store"):
        store.get("x.bin", None, copy)
    store.put(source, "x.bin")
    with pytest.raises(StoreError, match="its SHA-256 differs"):
        store.get("x.bin", "0" * 64, copy)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.bin"]


def test_a_write_that_breaks_off_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_store(str(tmp_path / "store"))
    assert found is not None
    source = tmp_path / "a.bin"
    source.write_bytes(b"old")
    found.put(source, "x.bin")

    def breaks(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", breaks)
    source.write_bytes(b"new")
    with pytest.raises(StoreError, match="No space left on device"):
        found.put(source, "x.bin")
    assert [path.read_bytes() for path in (tmp_path / "store").iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("https://secret.example/x", "is a folder, or an address that begins with file:// or s3://"),
        ("s3://key:secret@bucket/x", "holds no credentials"),
        ("s3:///x", "names no bucket"),
        ("github://secret", "is a folder, or an address"),
        ("secret/shared", "is a whole path, such as /shared/cnnviz"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_sentence_without_it(address: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        open_store(address)
    assert "secret" not in str(caught.value)


def test_without_an_address_there_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(storing.VARIABLE, raising=False)
    assert open_store() is None


def test_names_stay_inside(tmp_path: Path) -> None:
    found = open_store(str(tmp_path))
    assert found is not None
    assert str(tmp_path) not in repr(found)
    for name in ("../x", "/etc/passwd", "a//b", "a/../b", ""):
        with pytest.raises(StoreError, match="A name in the store"):
            found.holds(name)


def publish(database: Database, store: Store, lease: tracking.Lease, content: bytes, step: int) -> str:
    """What a worker does when it has written a checkpoint."""
    run = tracking.get_run(database, lease.run_id)
    run = tracking.get_run(database, lease.run_id) if run.attempt == lease.attempt else run
    path = tracking.run_folder(run.id, run.key) / "last.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    name, digest = run_files.publish(store, run, path, step)
    tracking.add_checkpoint(database, lease, "last", path.name, step, 0.0, len(content), digest, name)
    run_files.delete_superseded(store, run, "last", name)
    return name


def test_a_worker_that_has_lost_its_lease_cannot_publish_and_its_object_is_swept(
    sqlite: Database, tmp_path: Path
) -> None:
    found = open_store(str(tmp_path / "store"))
    assert found is not None
    old = begin(sqlite)
    publish(sqlite, found, old, b"first", 5)
    tracking.end(sqlite, old, Status.INTERRUPTED)
    tracking.request(sqlite, old.run_id, tracking.Command.RESUME)
    new = claim(sqlite)
    tracking.begin(sqlite, new, 5)
    with pytest.raises(StaleAttemptError):
        publish(sqlite, found, old, b"a ghost's", 9)
    assert tracking.checkpoints(sqlite, new.run_id)["last"].step == 5
    name = publish(sqlite, found, new, b"second", 7)
    run = tracking.get_run(sqlite, new.run_id)
    assert found.names(storing.folder_of(run.id, run.key)) == [name]


def test_a_page_on_another_machine_reads_through_a_bounded_cache(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(storing.VARIABLE, str(tmp_path / "store"))
    found = open_store()
    assert found is not None
    leases = [begin(sqlite, f"cuda:{number}") for number in range(3)]
    for lease in leases:
        publish(sqlite, found, lease, bytes([lease.run_id]) * 1_000, 5)
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path / "web"))
    monkeypatch.setenv(run_files.CACHE_VARIABLE, "2000")
    runs = [tracking.get_run(sqlite, lease.run_id) for lease in leases]
    for run in runs:
        known = tracking.checkpoints(sqlite, run.id)["last"]
        path = run_files.checkpoint_file(run, known, "web")
        assert path.read_bytes() == bytes([run.id]) * 1_000
        os.utime(path, (run.id, run.id))
    copies = list((tmp_path / "web" / "cache" / "checkpoints").iterdir())
    assert len(copies) == 2
    monkeypatch.delenv(storing.VARIABLE)
    path = run_files.checkpoint_file(runs[0], tracking.checkpoints(sqlite, runs[0].id)["last"], "web")
    assert not path.exists(), "without the store there is nothing to read here"
