"""A run from its row to its end: finished, stopped, failed, paused by a full disk, gone on with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz import datasets, tracking
from cnnviz.datasets import Step
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.run_logger import MEASURED
from cnnviz.training.workers.worker import work

SHORT = Recipe(dataset="digits", limit=200, epochs=2, batch_size=50, schedule="cosine")


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def follow(
    database: Database, recipe: Recipe, stop_at: int | None = None, run: int | None = None
) -> tracking.Run:
    if run is None:
        made = tracking.create_run(
            database,
            recipe.model_dump(mode="json"),
            model=recipe.model,
            dataset=recipe.dataset,
            seed=recipe.seed,
        )
        run = made.id
    lease = tracking.claim(database, "cpu", only=run)
    assert lease is not None
    seen: list[Step] = []

    def interrupted() -> bool:
        return stop_at is not None and any(step.stage == "Training" and step.done >= stop_at for step in seen)

    work(database, lease, seen.append, interrupted)
    return tracking.get_run(database, run)


def rows(database: Database, run: int) -> list[tuple[str, int, float]]:
    page = tracking.read_metrics(database, run, 0, 10_000)
    return [(row.name, row.step, row.value) for row in page.rows if row.name not in MEASURED]


def test_a_run_finishes_with_its_facts(database: Database) -> None:
    run = follow(database, SHORT)
    assert (run.status, run.step, run.epoch) == (Status.FINISHED, 8, 2)
    assert run.params == 61_706
    assert run.fingerprint
    assert run.versions
    assert set(run.metrics) >= {"train/loss", "val/accuracy", "test/accuracy", "lr"}
    assert set(tracking.checkpoints(database, run.id)) == {"best", "last"}
    assert tracking.latest_record(database, run.id, "test/confusion") is not None


def test_a_stopped_run_goes_on_as_if_nothing_had_been(database: Database) -> None:
    whole = follow(database, SHORT)
    part = follow(database, SHORT, stop_at=3)
    assert (part.status, part.step) == (Status.STOPPED, 3)
    tracking.request(database, part.id, Command.RESUME)
    part = follow(database, SHORT, run=part.id)
    assert (part.status, part.attempt) == (Status.FINISHED, 2)
    assert rows(database, part.id) == rows(database, whole.id)


def test_bf16_without_its_arithmetic_is_trained_in_fp32_with_a_note(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits as in fp32; a run that goes on elsewhere, where there is bf16, says that too."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True})
    single = follow(database, SHORT)
    half = follow(database, SHORT.changed({"precision": "bf16"}), stop_at=3)
    note = tracking.latest_record(database, half.id, "engine")
    assert note is not None
    assert note.body["note"].startswith("Trained in fp32 in place of bf16")
    tracking.request(database, half.id, Command.RESUME)
    assert rows(database, follow(database, SHORT, run=half.id).id) == rows(database, single.id)
    part = follow(database, SHORT.changed({"precision": "bf16"}), stop_at=3)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    tracking.request(database, part.id, Command.RESUME)
    follow(database, SHORT, run=part.id)
    note = tracking.latest_record(database, part.id, "engine")
    assert note is not None
    assert note.body["note"] == "Resumed in bf16; the steps before were made in fp32."


def test_what_goes_wrong_is_the_runs_state(database: Database) -> None:
    hopeless = follow(
        database, SHORT.changed({"lr": 1000, "optimiser": "sgd", "schedule": "constant", "epochs": 30})
    )
    assert hopeless.status is Status.FAILED
    assert hopeless.error is not None
    assert "no longer a finite number at step" in hopeless.error
    misfit = follow(database, SHORT.changed({"model": "googlenet", "size": 32}))
    assert misfit.status is Status.FAILED
    assert misfit.error is not None
    assert "\n" not in misfit.error


def test_broken_data_fails_the_run_with_a_sentence(database: Database, tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}.png").write_bytes(b"no picture at all")
    run = follow(database, SHORT.changed({"dataset": str(tmp_path)}))
    assert run.status is Status.FAILED
    assert run.error is not None
    assert "0.png" in run.error
    assert "\n" not in run.error
    assert run.last_lines is None


def test_a_full_disk_pauses_the_run(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    datasets.load("digits")  # its cache is written to the same disk, before there is a checkpoint
    with monkeypatch.context() as patched:
        patched.setattr("cnnviz.training.checkpoint.os.fsync", full)
        run = follow(database, SHORT)
    assert run.status is Status.PAUSED
    assert run.error is not None
    assert "disk is full" in run.error
    tracking.request(database, run.id, Command.RESUME)
    assert follow(database, SHORT, run=run.id).status is Status.FINISHED


def test_an_error_of_our_own_is_kept_with_its_last_lines(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the kernel has no such operation")

    monkeypatch.setattr("cnnviz.training.trainer.Trainer.run", broken)
    run = follow(database, SHORT)
    assert (run.status, run.error) == (Status.FAILED, "RuntimeError: the kernel has no such operation")
    assert run.last_lines is not None
    assert "Traceback" in run.last_lines


def test_a_run_that_early_stopping_ended_is_finished_and_its_log_says_why(database: Database) -> None:
    recipe = SHORT.changed({"epochs": 30, "lr": 5.0, "early_stopping": 1, "schedule": "constant"})
    run = follow(database, recipe.changed({"clip_norm": 1}))
    assert (run.status, run.error) == (Status.FINISHED, None)
    assert run.step < 30 * 4
    reason = tracking.history(database, run.id)[-1].reason
    assert reason is not None
    assert reason.startswith(f"Early stopping ended the run after epoch {run.step // 4}: for 1 epoch")
