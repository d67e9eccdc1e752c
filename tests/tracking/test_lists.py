"""What a table of many runs shows besides them, and checkpoints that are given up one by one."""

import pytest

from cnnviz import tracking
from cnnviz.tracking import Database, NoSuchRunError, Status, WrongStateError
from tests.tracking.making import RECIPE, begin, create, log


def test_names_of_metrics_and_recipes(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "test/loss", [(1, 2.0)])
    log(database, lease, "lr", [(1, 0.1), (2, 0.1)])
    other = create(database, "cuda:0")
    assert tracking.metric_names(database) == ["lr", "test/loss"]
    assert tracking.recipes(database, [lease.run_id, 99]) == {lease.run_id: RECIPE}
    assert set(tracking.recipes(database, range(2_000))) == {lease.run_id, other.id}


def test_a_checkpoint_is_given_up_with_its_file(sqlite: Database) -> None:
    create(sqlite)
    lease = tracking.claim(sqlite, "cpu")
    assert lease is not None
    tracking.begin(sqlite, lease)
    run = tracking.get_run(sqlite, lease.run_id)
    folder = tracking.run_folder(run.id, run.key)
    folder.mkdir(parents=True)
    for kind in ("last", "best"):
        (folder / f"{kind}.safetensors").write_bytes(b"12345678")
        tracking.add_checkpoint(sqlite, lease, kind, f"{kind}.safetensors", 1, 1.0, 8)
    assert tracking.checkpoint_bytes(sqlite) == {run.id: 16}
    with pytest.raises(WrongStateError, match="stop it before"):
        tracking.remove_checkpoint(sqlite, run.id, "best")
    tracking.end(sqlite, lease, Status.FINISHED)
    assert tracking.remove_checkpoint(sqlite, run.id, "best") == 8
    assert [path.name for path in folder.iterdir()] == ["last.safetensors"]
    assert list(tracking.checkpoints(sqlite, run.id)) == ["last"]
    with pytest.raises(WrongStateError, match="no checkpoint 'best'"):
        tracking.remove_checkpoint(sqlite, run.id, "best")
    with pytest.raises(NoSuchRunError):
        tracking.remove_checkpoint(sqlite, 99, "last")
    (folder / "last.safetensors").unlink()
    assert tracking.remove_checkpoint(sqlite, run.id, "last") == 0


def test_files_of_another_machine_are_left(sqlite: Database) -> None:
    lease = begin(sqlite)
    tracking.add_checkpoint(sqlite, lease, "last", "last.safetensors", 1, 1.0, 8)
    tracking.end(sqlite, lease, Status.FINISHED)
    with pytest.raises(WrongStateError, match="lie on here"):
        tracking.remove_checkpoint(sqlite, lease.run_id, "last")


def test_a_stamp_tells_whether_a_list_would_be_another(database: Database) -> None:
    seen = [tracking.stamp(database)]

    def changed() -> bool:
        seen.append(tracking.stamp(database))
        return seen[-1] not in seen[:-1]

    lease = begin(database)
    assert changed()
    log(database, lease, "lr", [(1, 0.1)])
    assert changed()
    assert not changed()
    tracking.end(database, lease, Status.STOPPED)
    assert changed()
    tracking.delete_run(database, lease.run_id)
    assert changed()
