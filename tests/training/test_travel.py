"""A run whose machine is gone goes on on another one by itself, with the same bits and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from cnnviz import datasets, tracking
from cnnviz.datasets import Step
from cnnviz.models import library
from cnnviz.models.layers import LayerList
from cnnviz.tracking import Command, Database, Lease, Status
from cnnviz.tracking.lifecycle import MAX_TRIES
from cnnviz.tracking.queue import GONE_SECONDS, Machine, register_machine
from cnnviz.tracking.store import VARIABLE, folder_of, open_store, sha256_of
from cnnviz.training import Recipe, checkpoint, travel
from cnnviz.training.queue import enqueue
from cnnviz.training.workers import LocalLauncher
from cnnviz.training.workers.supervisor import RunMonitor
from cnnviz.training.workers.worker import work

SHORT = Recipe(
    dataset="digits", limit=200, epochs=2, batch_size=50, device="cpu", pad_crop=2, schedule="cosine"
)


class PowerCutError(BaseException):
    """The machine is gone in the middle of a step."""


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A store that two machines share; called with a machine's name, this process is on it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))

    def be(host: str) -> None:
        monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path / host))
        monkeypatch.setattr("socket.gethostname", lambda: host)

    be("first")
    return be


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return tracking.connect(f"sqlite:///{tmp_path}/runs.sqlite")


def claim(database: Database, run: int, host: str) -> Lease:
    lease = tracking.claim(database, "cpu", host, only=run, anywhere=True)
    assert lease is not None
    return lease


def train(database: Database, lease: Lease, cut_at: int | None = None) -> tracking.Run:
    """Train to the end, or until the power is cut."""

    def progress(step: Step) -> None:
        if step.stage == "Training" and step.done == cut_at:
            raise PowerCutError

    if cut_at is None:
        work(database, lease, progress, lambda: False)
    else:
        with pytest.raises(PowerCutError):
            work(database, lease, progress, lambda: False)
    return tracking.get_run(database, lease.run_id)


def silence(database: Database, seconds: float) -> None:
    with database.write() as session:
        session.execute(text("UPDATE runs SET heartbeat = heartbeat - :s"), {"s": seconds})


def look(database: Database, host: str, *, with_store: bool = True) -> None:
    watch = RunMonitor(database, LocalLauncher(), host, store=with_store)
    watch.look(tracking.list_runs(database, statuses=tracking.ACTIVE))


def weights(run: tracking.Run) -> dict[str, np.ndarray]:
    path = tracking.run_folder(run.id, run.key) / "last.safetensors"
    return {name: value.numpy() for name, value in checkpoint.read(path).weights.items()}


def test_a_run_goes_on_elsewhere_and_ends_with_the_same_bits(
    database: Database, shared: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnviz.training.trainer.SAVE_SECONDS", 0.0)
    twin, run = enqueue(database, SHORT).id, enqueue(database, SHORT).id
    whole = train(database, claim(database, twin, "first"))
    lost = claim(database, run, "first")
    train(database, lost, cut_at=6)
    shared("second")
    look(database, "second")
    assert tracking.get_run(database, run).status is Status.RUNNING, "it was heard of a moment ago"
    silence(database, GONE_SECONDS + 1)
    register_machine(database, Machine("a" * 12, "first", "LocalLauncher", ("cpu",)))
    look(database, "second")
    assert tracking.get_run(database, run).status is Status.RUNNING, "its machine is there and looks after it"
    with database.write() as session:
        session.execute(text("DELETE FROM machines"))
    look(database, "second", with_store=False)
    assert tracking.get_run(database, run).status is Status.RUNNING, "this machine could not read it"
    look(database, "second")
    moved = tracking.get_run(database, run)
    assert (moved.status, moved.tries, moved.error) == (Status.QUEUED, 1, None)
    with pytest.raises(tracking.StaleAttemptError):
        tracking.add_checkpoint(database, lost, "last", "last.safetensors", 9, 2.0, 1)
    assert tracking.claim(database, "cpu", "third") is None, "without a store it waits for its machine"
    ended = train(database, claim(database, run, "second"))
    assert (ended.status, ended.attempt, ended.host) == (Status.FINISHED, 2, "second")
    got = weights(ended)
    shared("first")
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(got[name], value)


def test_it_moves_three_times_and_not_a_fourth(database: Database, shared: Callable[[str], None]) -> None:
    run = enqueue(database, SHORT).id
    for moved in range(1, MAX_TRIES + 2):
        lease = claim(database, run, f"machine {moved}")
        tracking.begin(database, lease)
        silence(database, GONE_SECONDS + 1)
        look(database, "second")
        found = tracking.get_run(database, run)
        if moved <= MAX_TRIES:
            assert (found.status, found.tries) == (Status.QUEUED, moved)
    found = tracking.get_run(database, run)
    assert found.status is Status.INTERRUPTED
    assert found.error == f"Nothing was heard of machine {MAX_TRIES + 1}, where it trained."
    tracking.request(database, run, Command.RESUME)
    assert tracking.get_run(database, run).tries == 0


@pytest.mark.parametrize(
    ("command", "status"), [(Command.STOP, Status.STOPPED), (Command.PAUSE, Status.PAUSED)]
)
def test_what_was_asked_of_a_run_that_is_gone_is_done(
    database: Database, shared: Callable[[str], None], command: Command, status: Status
) -> None:
    run = enqueue(database, SHORT).id
    tracking.begin(database, claim(database, run, "first"))
    tracking.request(database, run, command)
    silence(database, GONE_SECONDS + 1)
    look(database, "second")
    assert tracking.get_run(database, run).status is status


def test_a_checkpoint_that_was_changed_in_the_store_is_not_read(
    database: Database, shared: Callable[[str], None], tmp_path: Path
) -> None:
    run = enqueue(database, SHORT).id
    train(database, claim(database, run, "first"), cut_at=5)
    stored = tracking.checkpoints(database, run)["last"].stored
    assert stored is not None
    (tmp_path / "store" / stored).write_bytes(b"something else")
    silence(database, GONE_SECONDS + 1)
    shared("second")
    look(database, "second")
    ended = train(database, claim(database, run, "second"))
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert "its SHA-256 differs" in ended.error


def test_a_store_that_cannot_be_written_leaves_the_run_on_its_machine(
    database: Database, shared: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    run = enqueue(database, SHORT).id
    ended = train(database, claim(database, run, "first"))
    assert ended.status is Status.FINISHED
    last = tracking.checkpoints(database, run)["last"]
    path = tracking.run_folder(run, ended.key) / "last.safetensors"
    assert (last.stored, last.digest) == (None, sha256_of(path))
    note = tracking.latest_record(database, run, "engine")
    assert note is not None
    assert "the run can go on on this machine alone" in note.body["note"]


def pictures(folder: Path) -> Path:
    """Two classes of tiny pictures."""
    random = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (28, 28)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def test_own_data_and_a_saved_network_travel_with_a_run(
    database: Database, shared: Callable[[str], None], tmp_path: Path
) -> None:
    place = pictures(tmp_path / "pets")
    ready = datasets.load(str(place))
    name = library.save(LayerList.model_validate({
        "name": "Tiny", "input": [1, 28, 28],
        "layers": [{"kind": "flatten"}, {"kind": "linear"}],
    }))  # fmt: skip
    recipe = Recipe(model=name, dataset=str(place), epochs=1, batch_size=8, device="cpu", validation=0)
    run = enqueue(database, recipe)
    for file in sorted(place.rglob("*.png")):
        file.unlink()
    for folder in ("cats", "dogs", "."):
        (place / folder).rmdir()
    shared("second")
    candidate = tracking.Candidate(run.id, run.key, run.dataset, run.recipe, run.needs or {}, False)
    assert travel.is_data_available(candidate, with_store=True)
    assert not travel.is_data_available(candidate, with_store=False)
    ended = train(database, claim(database, run.id, "second"))
    assert (ended.status, ended.error) == (Status.FINISHED, None)
    assert ended.fingerprint == ready.fingerprint


def test_purging_a_run_takes_it_out_of_the_store(database: Database, shared: Callable[[str], None]) -> None:
    run = enqueue(database, SHORT).id
    ended = train(database, claim(database, run, "first"))
    found = open_store()
    assert found is not None
    assert len(found.names(folder_of(run, ended.key))) == 2
    tracking.delete_run(database, run)
    tracking.purge_runs(database)
    assert found.names(folder_of(run, ended.key)) == []


def test_code_is_run_where_it_is_known_or_allowed_and_compared_with_its_digest(
    database: Database, shared: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnviz.models.user_code import registration, source

    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, classes: int = 10) -> None:\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, classes))\n"
    )
    monkeypatch.delenv(registration.VARIABLE, raising=False)
    spec = registration.add(f"{tmp_path}/net.py:Net")
    recipe = SHORT.changed({"model": spec.name, "size": 28, "epochs": 1})
    run = enqueue(database, recipe)
    digest = run.recipe["code"]
    assert registration.known_digests() == [digest]
    shared("second")
    monkeypatch.delenv(registration.VARIABLE)
    assert registration.known_digests() == []
    here = Machine("b" * 12, "second", "LocalLauncher", ("cpu",), {"code": registration.known_digests()})
    assert not here.runs_code(digest)
    assert Machine("b" * 12, "second", "LocalLauncher", ("cpu",), {"allow_code": True}).runs_code(digest)
    stored = Recipe.model_validate(run.recipe)
    changed = {"code": {**(run.needs or {})["code"], "attribute": "Other"}}
    with pytest.raises(ValueError, match="was changed on its way here"):
        travel.prepare(stored, changed, open_store())
    travel.prepare(stored, run.needs or {}, open_store())
    assert source.load_copy(digest, spec.name).attribute == "Net"
