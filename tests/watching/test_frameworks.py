"""Lightning's and Transformers' trainers are watched by a callback."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import cnnviz
from cnnviz import tracking
from cnnviz.diagnosis.finding import Change, Finding
from cnnviz.diagnosis.own_code import with_code_fix
from cnnviz.tracking import Command, Database, Status
from tests.watching.loops import Net, images

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own, of loaders and devices


def _fit(
    folder: Path, callback: Any, *, fail_at: int | None = None, epochs: int = 6, **settings: Any
) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def training_step(self, batch: Any, number: int) -> Tensor:
            if fail_at is not None and self.global_step == fail_at:
                raise RuntimeError("a fault of theirs")
            return functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, number: int) -> None:
            functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)

    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
        **settings,
    )
    loader = DataLoader(TensorDataset(*images()), batch_size=12, shuffle=True)
    trainer.fit(Module(), loader, DataLoader(TensorDataset(*images(60, seed=1)), batch_size=30))


def test_a_lightning_module_is_watched(database: Database, tmp_path: Path) -> None:
    callback = cnnviz.watch.lightning(name="fit", database=database)
    _fit(tmp_path, callback)
    (run,) = tracking.list_runs(database)
    assert (run.name, run.model, run.status) == ("fit", "Net", Status.FINISHED)
    assert (run.step, run.total_epochs) == (48, 6.0)
    assert run.metrics["val/accuracy"].rows == 6
    assert run.metrics["train/epoch_loss"].rows == 6
    report = callback.run.diagnose()
    assert report.causes == ()


def test_an_epoch_of_accumulated_batches_ends_with_its_last(database: Database, tmp_path: Path) -> None:
    callback = cnnviz.watch.lightning(database=database)
    _fit(tmp_path, callback, epochs=2, accumulate_grad_batches=3)
    (run,) = tracking.list_runs(database)
    assert (run.step, run.total_epochs) == (6, 2.0)  # 8 batches: 3, 3 and 2


def test_its_exception_ends_the_run_as_failed(database: Database, tmp_path: Path) -> None:
    callback = cnnviz.watch.lightning(database=database)
    with pytest.raises(RuntimeError, match="a fault of theirs"):
        _fit(tmp_path, callback, fail_at=3)
    (run,) = tracking.list_runs(database)
    assert (run.status, run.error) == (Status.FAILED, "RuntimeError: a fault of theirs")


def test_stopping_reaches_the_trainer(database: Database, tmp_path: Path) -> None:
    callback = cnnviz.watch.lightning(database=database)
    began = callback.on_train_start

    def stopped(trainer: Any, module: Any) -> None:
        began(trainer, module)
        tracking.request(database, callback.run.id, Command.STOP)
        callback.run._writer.flush()

    callback.on_train_start = stopped
    _fit(tmp_path, callback, epochs=50)
    (run,) = tracking.list_runs(database)
    assert run.status is Status.STOPPED
    assert run.step < 50 * 8


class _WithLoss(nn.Module):
    """A network that computes its loss itself, as those of Transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(pixel_values)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def test_a_network_that_computes_its_own_loss(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = types.ModuleType("transformers")
    stub.TrainerCallback = type("TrainerCallback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", stub)
    callback = cnnviz.watch.transformers(database=database)
    torch.manual_seed(0)
    model = _WithLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    control = types.SimpleNamespace(should_training_stop=False)
    callback.on_train_begin(None, None, control, model=model, optimizer=optimizer)
    values, labels = images()
    for start in range(0, 96, 12):
        model(pixel_values=values[start : start + 12], labels=labels[start : start + 12])["loss"].backward()
        optimizer.step()
        callback.on_step_end(None, None, control)
    report = callback.run.diagnose()
    callback.on_train_end(None, None, control)
    assert report.causes[:1] == ("zero-grad-missing",)
    assert callback.run.monitor.facts.counts["losses"] == 8
    assert not control.should_training_stop
    callback.on_train_begin(None, None, control, model=model, optimizer=optimizer)
    second = callback.run.id
    callback.on_train_begin(None, None, control, model=model, optimizer=optimizer)  # the second one raised
    assert tracking.get_run(database, second).status is Status.INTERRUPTED
    callback.on_train_end(None, None, control)
    assert [run.status for run in tracking.list_runs(database)] == [
        Status.FINISHED, Status.INTERRUPTED, Status.FINISHED,
    ]  # fmt: skip


def test_the_fix_of_undivided_gradients_names_the_arguments_of_its_trainer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = types.ModuleType("transformers")
    stub.TrainerCallback = type("TrainerCallback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", stub)
    callback = cnnviz.watch.transformers(database=database)
    torch.manual_seed(0)
    model = _WithLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    callback.on_train_begin(None, None, None, model=model, optimizer=optimizer)
    values, labels = images()
    for _ in range(8):  # as Trainer does for a network whose forward takes **kwargs
        for start in range(0, 96, 24):
            batch = slice(start, start + 24)
            model(pixel_values=values[batch], labels=labels[batch])["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    (finding,) = callback.run.diagnose().findings
    callback.on_train_end(None, None, None)
    assert finding.cause == "gradient-accumulation-scale"
    assert "gradient_accumulation_steps=4 in TrainingArguments" in str(finding.fix)
    assert "num_items_in_batch" in str(finding.fix)
    assert ".backward()" not in str(finding.fix)


def changing(**values: Any) -> Finding:
    return Finding("a cause", 1.0, 1.0, "", "", (), changes=(Change(values, "As others do."),))


def test_a_fix_is_words_and_code_for_the_framework_that_runs_the_loop() -> None:
    def fix(framework: str, **values: Any) -> str:
        return str(with_code_fix(changing(**values), framework).fix)

    rate = {"lr": 0.01, "schedule": "cosine"}
    assert fix("transformers", **rate) == (
        "Use learning_rate=0.01 and lr_scheduler_type='cosine' in TrainingArguments. As others do.\n"
        "TrainingArguments(…, learning_rate=0.01, lr_scheduler_type='cosine')"
    )
    assert fix("lightning", clip_norm=1.0) == (
        "Use gradient_clip_val=1 in Trainer. As others do.\nTrainer(…, gradient_clip_val=1)"
    )
    assert "param_groups" not in fix("lightning", lr=0.01)
    assert "param_groups" in fix("torch", lr=0.01)
    for framework in ("transformers", "torch"):  # no framework has a setting for it
        assert fix(framework, cutout=0) == "Use no cutout. As others do."


def test_a_framework_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="Transformers is not installed here: pip install transformers"):
        cnnviz.watch.transformers()
