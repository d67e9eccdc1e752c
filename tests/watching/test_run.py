"""A watched run is recorded like one of ours, ends as its loop did, and never gets in the loop's way."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz import tracking
from cnnviz.tracking import Command, Database, Kind, Status
from cnnviz.training.workers import reconcile
from cnnviz.watching import WatchWarning, loss_functions
from cnnviz.watching.recording import as_logits
from tests.watching.loops import CLASSES, Net, evaluate, images, loop, seeded

ROOT = Path(__file__).parents[2]


def body(database: Database, run_id: int | None, kind: str) -> object:
    record = tracking.latest_record(database, run_id or 0, kind)
    assert record is not None
    return record.body


def test_it_records_what_our_trainer_records(database: Database) -> None:
    run = loop(database, name="mine", dataset="rows of light", classes=["top", "middle", "bottom"])
    run.finish()
    known = tracking.get_run(database, run.id or 0)
    assert (known.kind, known.status, known.name) == (Kind.WATCHED, Status.FINISHED, "mine")
    assert (known.step, known.total_steps, known.model) == (32, 32, "Net")
    assert known.params == sum(p.numel() for p in Net().parameters())
    assert known.recipe == {
        "optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0, "batch_size": 12, "epochs": 4,
        "schedule": "constant",
    }  # fmt: skip
    expected = {"train/loss", "train/accuracy", "lr", "images_per_second", "memory_bytes", "train/epoch_loss",
                "test/loss", "test/accuracy", "test/top5"}  # fmt: skip
    assert expected <= set(known.metrics)
    assert known.metrics["test/accuracy"].rows == 4
    data = body(database, run.id, "data")
    assert isinstance(data, dict)
    assert (data["classes"], data["train"], data["test"]) == (["top", "middle", "bottom"], 96, 60)
    assert sum(data["counts"]) == 96
    looks = tracking.read_records(database, run.id or 0, "layers")
    assert [record.step for record in looks] == [1, 2, 5, 10, 20]
    assert {layer["name"] for layer in looks[0].body} == {"conv", "norm", "drop", "head"}
    assert all(layer["update"] for layer in looks[0].body if layer["name"] in ("conv", "head"))


def test_losses_are_those_of_the_loop(database: Database) -> None:
    seen: list[float] = []

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        value = functional.cross_entropy(logits, labels)
        seen.append(float(value.detach()))
        return value

    run = loop(database, loss=loss, epochs=1)
    run.finish()
    points = tracking.sample_metric(database, run.id or 0, "train/loss")
    assert points.steps.tolist()[:2] == [1, 5]
    assert points.values.tolist()[0] == pytest.approx(seen[0])
    assert points.values.tolist()[1] == pytest.approx(sum(seen[1:5]) / 4)


def test_weights_end_as_those_of_a_loop_that_is_not_watched(database: Database) -> None:
    run = loop(database, epochs=2)
    run.finish()
    with seeded():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        values, labels = images()
        for _ in range(2):
            model.train()
            rows = torch.randperm(len(labels))
            for start in range(0, 96, 12):
                optimizer.zero_grad()
                functional.cross_entropy(
                    model(values[rows[start : start + 12]]), labels[rows[start : start + 12]]
                ).backward()
                optimizer.step()
            model.eval()
    for mine, watched in zip(model.parameters(), run._model.parameters(), strict=True):
        assert torch.equal(mine, watched)


def test_a_pass_without_gradients_is_recognized(database: Database) -> None:
    def evaluation(run: object, model: nn.Module) -> None:
        model.eval()
        values, labels = images(60, seed=1)
        with torch.no_grad():
            functional.cross_entropy(model(values), labels)

    run = loop(database, evaluation=evaluation)
    report = run.diagnose()
    known = tracking.get_run(database, run.id or 0)
    assert known.metrics["test/accuracy"].rows == 4
    assert report.healthy is not False
    assert body(database, run.id, "in_training_mode") == []


def test_the_network_s_own_layers_are_used_and_not_a_recipe_s(database: Database) -> None:
    from cnnviz.diagnosis import gather

    run = loop(database)
    run.finish()
    evidence = gather(database, run.id or 0)
    assert [layer.type for layer in evidence.layers if layer.params] == ["Conv2d", "BatchNorm2d", "Linear"]
    assert (evidence.side, evidence.dropout) == ((6, 6), {"drop": 0.2})
    assert "pad_crop" in evidence.unknown
    assert "lr" not in evidence.unknown


def test_stopping_is_a_request_that_the_loop_reads(database: Database) -> None:
    run = loop(database, epochs=1)
    assert not run.should_stop
    tracking.request(database, run.id or 0, Command.STOP)
    run._writer.flush()
    assert run.should_stop
    run.finish()
    assert tracking.get_run(database, run.id or 0).status is Status.STOPPED


def test_an_exception_ends_it_as_failed_with_its_text(database: Database) -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(IndexError), cnnviz.watch(model, optimizer, database=database) as run:
        functional.cross_entropy(model(images()[0]), images()[1] + 1).backward()
    known = tracking.get_run(database, run.id or 0)
    assert known.status is Status.FAILED
    assert known.error == "IndexError: Target 3 is out of bounds."
    assert "functional.cross_entropy(model(images()" in (known.last_lines or "")
    assert run.diagnose().findings[0].cause == "labels-out-of-range"


SCRIPT = """
import os, signal, sys, torch, warnings
from torch import nn
import cnnviz
model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
run = cnnviz.watch(model, optimizer)
for step in range(12):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(8, 1, 2, 2)), torch.randint(0, 2, (8,))).backward()
    optimizer.step()
how = sys.argv[1]
if how == "raise":
    raise RuntimeError("the disk is on fire")
if how == "kill":
    run._writer.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("end", Status.FINISHED, None),
        ("raise", Status.FAILED, "RuntimeError: the disk is on fire"),
        ("kill", Status.INTERRUPTED, "Its process ended without finishing the run."),
    ],
)
def test_a_script_s_run_ends_with_its_process(
    tmp_path: Path, how: str, status: Status, error: str | None
) -> None:
    environment = os.environ | {"CNNVIZ_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("CNNVIZ_DATABASE_URL", None)
    address = f"sqlite:///{tmp_path}/runs.sqlite"
    environment["CNNVIZ_DATABASE_URL"] = address
    subprocess.run([sys.executable, "-c", SCRIPT, how], env=environment, capture_output=True, check=False)
    with tracking.connect(address) as database:
        reconcile(database, wait=False)
        (run,) = tracking.list_runs(database)
        assert (run.status, run.error) == (status, error)


def test_two_watches_at_once_each_see_their_own_losses(database: Database) -> None:
    nets = [Net(), Net()]
    steps = [torch.optim.SGD(net.parameters(), 0.05) for net in nets]
    runs = [cnnviz.watch(net, step, database=database) for net, step in zip(nets, steps, strict=True)]
    assert loss_functions.listening() == 2
    values, labels = images()
    for _ in range(6):
        outputs = [net(values[:12]) for net in nets]
        losses = [functional.cross_entropy(out, labels[:12]) for out in outputs]
        for step, loss in zip(steps, losses, strict=True):
            step.zero_grad()
            loss.backward()
            step.step()
    assert [run.monitor.facts.counts["losses"] for run in runs] == [6, 6]
    runs[0].finish()
    assert loss_functions.listening() == 1
    functional.cross_entropy(nets[1](values), labels)
    assert runs[1].monitor.facts.counts["losses"] == 7
    runs[1].finish()
    assert not any(net._forward_hooks or net._forward_pre_hooks for net in nets)


def test_a_loss_that_is_never_seen_is_said(database: Database) -> None:
    with pytest.warns(WatchWarning, match="No loss was seen in 10 steps"):
        run = loop(database, loss=lambda x, y: (x.softmax(1)[torch.arange(len(y)), y] - 1).square().mean())
    report = run.diagnose()
    assert report.healthy is not False
    why = {one.cause: one.because for one in report.diagnosis.checked}
    assert "run.step(loss, logits, labels)" in why["loss-mismatch"]


def test_our_own_errors_end_the_watching_and_not_the_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("cnnviz.watching.loop_facts.LoopFacts.add_rate", broken)
    with pytest.warns(WatchWarning, match="stopped watching: RuntimeError: a fault of ours"):
        run = loop(database)
    assert tracking.get_run(database, run.id or 0).status is Status.INTERRUPTED


def test_a_database_that_cannot_be_opened_does_not_end_the_loop(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file")
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.warns(WatchWarning, match="does not record this run"):
        run = cnnviz.watch(model, optimizer, database=f"sqlite:///{tmp_path}/no/runs.sqlite")
    functional.cross_entropy(model(images()[0]), images()[1]).backward()
    optimizer.step()
    assert not run.should_stop
    run.finish()
    with pytest.raises(RuntimeError, match="was not recorded"):
        run.diagnose()


@pytest.mark.parametrize(
    ("model", "optimizer", "sentence"),
    [
        (Net, None, "takes a torch.nn.Module .an object, not its class., not the class Net"),
        (Net(), None, "takes a torch optimizer or a list of them, not a NoneType"),
        (Net(), [1], "takes torch optimizers, not a int"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence(model: object, optimizer: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        cnnviz.watch(model, optimizer)


class Scripted(nn.Module):
    """A child that is TorchScript, which takes no hooks."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings(action="ignore"):  # It is deprecated, and people bring it.
            self.inner = torch.jit.script(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()))
        self.head = nn.Linear(4 * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.head(self.inner(x).flatten(1))
        return out


def test_a_torchscript_child_is_left_out_of_the_looks(database: Database) -> None:
    run = loop(database, model=Scripted())
    run.finish()
    assert tracking.get_run(database, run.id or 0).status is Status.FINISHED
    looks = tracking.read_records(database, run.id or 0, "layers")
    assert {layer["name"] for layer in looks[0].body} == {"head"}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: Scripted().inner, "give the module from before torch.jit.script"),
        (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "pass a batch through the network before"),
    ],
)
def test_what_takes_no_hooks_is_said_and_the_loop_goes_on(
    database: Database, model: Callable[[], nn.Module], sentence: str
) -> None:
    module = model()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pytest.warns(WatchWarning, match=f"does not record this run.*{sentence}"):
        run = cnnviz.watch(module, optimizer, database=database)
    module(torch.zeros(2, 1, 6, 6)).sum().backward()
    optimizer.step()
    run.finish()
    assert not tracking.list_runs(database)


@pytest.mark.parametrize(
    ("out", "chosen"),
    [
        ((torch.zeros(2, 1, 4, 4), torch.ones(2, 3)), 1.0),
        ((torch.ones(2, 3), torch.zeros(2, 3)), 1.0),
        ({"maps": torch.zeros(2, 1, 4, 4), "scores": torch.ones(2, 3)}, 1.0),
        ({"features": torch.zeros(2, 8), "logits": torch.ones(2, 3)}, 1.0),
        ([torch.ones(2, 1, 4, 4)], 1.0),
        ({"loss": 3}, None),
    ],
)
def test_which_output_is_the_logits(out: object, chosen: float | None) -> None:
    found = as_logits(out)
    assert (None if found is None else float(found.mean())) == chosen


def test_wrong_shapes_to_evaluate_are_one_sentence(database: Database) -> None:
    run = loop(database, epochs=1)
    with pytest.raises(ValueError, match=r"takes logits \(N, classes\) and class numbers \(N,\)"):
        run.evaluate(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match="'test' or 'validation'"):
        run.evaluate(torch.zeros(4, CLASSES), torch.zeros(4), part="train")
    evaluate(run, run._model)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, cnnviz; assert 'torch' not in sys.modules; assert callable(cnnviz.watch)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_it_is_never_probed_from_a_recipe(database: Database) -> None:
    from cnnviz.diagnosis import probe

    run = loop(database, epochs=1)
    run.finish()
    with pytest.raises(ValueError, match=r"was not trained here: .* there is nothing to probe"):
        probe(database, run.id or 0)


def test_what_it_lacks_is_nothing_that_only_our_runs_can_give(database: Database) -> None:
    """Labels that have nothing to do with the images: no fault of the loop, and nothing to probe."""
    values, labels = images()
    run = loop(database, data=(values, labels[torch.randperm(len(labels))]), epochs=6)
    report = run.diagnose()
    told = " ".join(
        (*report.missing, *report.diagnosis.next_steps, *(c.because for c in report.diagnosis.checked))
    )
    assert "--probe" not in told
    assert "resume" not in told
