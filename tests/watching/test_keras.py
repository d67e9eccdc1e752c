"""A Keras fit is recorded by its callback; a stand-in speaks Keras's protocol, which is not installed."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch

import cnnviz
from cnnviz import tracking
from cnnviz.diagnosis.finding import Change, Finding
from cnnviz.diagnosis.own_code import with_code_fix
from cnnviz.tracking import Command, Database, Kind, Status
from cnnviz.watching.recording import open_runs


class Callback:
    """As `keras.callbacks.Callback`: model and params are set before training begins."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: Any = None


class Dense:
    """As `keras.layers.Dense`: its variables hold torch's parameters."""

    name = "dense"

    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.full((3, 4), 2.0))
        self.trainable_variables = [types.SimpleNamespace(value=self.weight)]

    def count_params(self) -> int:
        return 12


class Dropout:
    """As `keras.layers.Dropout`."""

    name, rate, trainable_variables = "dropout", 0.5, ()

    def count_params(self) -> int:
        return 0


class Model:
    """As a Keras model in `fit`: the order of events, and means since the epoch's first batch."""

    name = "sequential"
    output_shape = (None, 3)

    def __init__(self) -> None:
        self.stop_training = False
        self.optimizer = type("Adam", (), {"learning_rate": 0.001, "beta_1": 0.9})()
        self.dense = Dense()
        self.layers = [types.SimpleNamespace(name="inner", layers=[self.dense]), Dropout()]
        self.tracker = types.SimpleNamespace(name="loss", count=0.0)
        self.metrics = [self.tracker]
        self.fail_at = -1

    def count_params(self) -> int:
        return 42

    def fit(self, losses: list[list[float]], callback: Any) -> None:
        callback.model, callback.params = self, {"epochs": len(losses), "steps": len(losses[0]), "verbose": 1}
        callback.on_train_begin()
        for epoch, batches in enumerate(losses):
            callback.on_epoch_begin(epoch)
            self.tracker.count = 0.0
            for batch in range(len(batches)):
                callback.on_train_batch_begin(batch)
                if batch == self.fail_at:
                    raise KeyError("gone")
                self.dense.weight.grad = torch.ones(3, 4)
                with torch.no_grad():
                    self.dense.weight.mul_(1.01)
                self.tracker.count += 32.0
                mean = sum(batches[: batch + 1]) / (batch + 1)
                callback.on_train_batch_end(batch, {"loss": mean, "accuracy": 0.5})
            callback.on_test_begin()
            self.tracker.count = 50.0
            callback.on_test_end()
            logs = {
                "loss": sum(batches) / len(batches),
                "accuracy": 0.5,
                "val_loss": 9.0,
                "val_accuracy": 0.25,
            }
            callback.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        callback.on_train_end()


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    keras, callbacks = types.ModuleType("keras"), types.ModuleType("keras.callbacks")
    setattr(callbacks, "Callback", Callback)  # noqa: B010 (a module that mypy does not know)
    setattr(keras, "callbacks", callbacks)  # noqa: B010
    setattr(keras, "config", types.SimpleNamespace(backend=lambda: "torch"))  # noqa: B010
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "keras.callbacks", callbacks)
    return keras


def curve(database: Database, run: int, name: str) -> list[tuple[int, float]]:
    found = tracking.sample_metric(database, run, name)
    return list(zip(found.steps.tolist(), [round(v, 4) for v in found.values.tolist()], strict=True))


def test_a_fit_becomes_a_watched_run(keras: types.ModuleType, database: Database) -> None:
    callback = cnnviz.watch.keras(name="mine", classes=["a", "b"], database=database)
    Model().fit([[3.0, 1.0], [2.0, 0.5]], callback)
    run = tracking.get_run(database, callback.run.id)
    assert (run.kind, run.status, run.name, run.model) == (
        Kind.WATCHED, Status.FINISHED, "mine", "sequential",
    )  # fmt: skip
    assert curve(database, run.id, "train/loss") == [(1, 3.0), (2, 1.0), (3, 2.0), (4, 0.5)]
    assert curve(database, run.id, "train/epoch_loss") == [(2, 2.0), (4, 1.25)]
    assert curve(database, run.id, "val/accuracy") == [(2, 0.25), (4, 0.25)]
    assert curve(database, run.id, "lr") == [(2, 0.001), (4, 0.001)]


def test_settings_layers_and_images_are_recorded(keras: types.ModuleType, database: Database) -> None:
    callback = cnnviz.watch.keras(database=database)
    Model().fit([[3.0, 1.0], [2.0, 0.5]], callback)
    run = tracking.get_run(database, callback.run.id)
    assert run.recipe == {"epochs": 2, "optimiser": "adam", "lr": 0.001, "momentum": 0.9}
    network = tracking.latest_record(database, run.id, "network")
    assert network is not None
    assert network.body["layers"] == [
        {"name": "dense", "type": "Dense", "params": 12}, {"name": "dropout", "type": "Dropout", "params": 0},
    ]  # fmt: skip
    assert network.body["dropout"] == {"dropout": 0.5}
    looks = tracking.read_records(database, run.id, "layers")
    assert [look.step for look in looks] == [1, 2]
    (dense,) = looks[0].body
    assert dense["update"] == pytest.approx(0.01, abs=1e-5)
    assert dense["gradient"] == pytest.approx(12**0.5)
    data = tracking.latest_record(database, run.id, "data")
    assert data is not None
    assert data.body == {"classes": ["0", "1", "2"], "train": 64, "validation": 50}
    (finding,) = callback.run.diagnose().findings
    assert finding.cause == "too-few-steps"
    assert "DataLoader" not in str(finding.fix)


def test_a_rate_is_changed_in_keras_s_words() -> None:
    change = Change({"lr": 0.05}, "Shorter steps.")
    finding = Finding(
        cause="rate-too-high",
        confidence=0.9,
        effect=1.0,
        verdict="",
        explanation="",
        facts=(),
        changes=(change,),
    )
    fix = with_code_fix(finding, "keras").fix
    assert fix is not None
    assert fix.code == "model.optimizer.learning_rate = 0.05"


def test_an_exception_ends_the_run_as_failed(
    keras: types.ModuleType, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    monkeypatch.setattr("cnnviz.watching.recording._installed", False)
    model, callback = Model(), cnnviz.watch.keras(database=database)
    model.fail_at = 1
    with pytest.raises(KeyError) as raised:
        model.fit([[3.0, 1.0]], callback)
    assert callback.run in open_runs
    sys.excepthook(KeyError, raised.value, None)
    run = tracking.get_run(database, callback.run.id)
    assert (run.status, run.error, run.step) == (Status.FAILED, "KeyError: 'gone'", 1)
    assert callback.run not in open_runs


def test_a_fit_after_a_caught_exception_is_another_run(keras: types.ModuleType, database: Database) -> None:
    model, callback = Model(), cnnviz.watch.keras(database=database)
    model.fail_at = 1
    with pytest.raises(KeyError):
        model.fit([[3.0, 1.0]], callback)
    first = callback.run.id
    model.fail_at = -1
    model.fit([[3.0, 1.0]], callback)
    assert tracking.get_run(database, first).status is Status.INTERRUPTED
    assert tracking.get_run(database, callback.run.id).status is Status.FINISHED


def test_stop_on_a_page_stops_the_fit(keras: types.ModuleType, database: Database) -> None:
    model, callback = Model(), cnnviz.watch.keras(database=database)
    begin = callback.on_epoch_begin

    def stop(epoch: int) -> None:
        begin(epoch)
        tracking.request(database, callback.run.id, Command.STOP)
        callback.run._writer.flush()
        callback.run._writer._command = Command.STOP

    callback.on_epoch_begin = stop
    model.fit([[1.0], [1.0], [1.0]], callback)
    assert callback.run.step_count == 1
    assert tracking.get_run(database, callback.run.id).status is Status.STOPPED


def test_another_backend_is_refused(keras: types.ModuleType) -> None:
    setattr(keras, "config", types.SimpleNamespace(backend=lambda: "jax"))  # noqa: B010
    with pytest.raises(ValueError, match="runs on jax here; set KERAS_BACKEND=torch"):
        cnnviz.watch.keras()


def test_without_keras_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setitem(sys.modules, "keras.callbacks", None)
    with pytest.raises(ValueError, match="Keras 3 is not installed here: pip install keras"):
        cnnviz.watch.keras()
