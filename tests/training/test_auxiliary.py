"""Auxiliary classifiers: their losses count in training only, and each is told by itself."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.datasets import Dataset
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.metrics import EpochMetrics, evaluate
from cnnviz.training.run_logger import MEASURED, InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import LAST, LOG_EARLY, Trainer, TrainStep
from tests.training.stripes import striped

RECIPE = Recipe(model="lenet5", epochs=3, batch_size=12, lr=0.01, flip="random", seed=7)
NAMES = ("train/aux1_loss", "train/aux2_loss")


class Heads(nn.Module):
    """One layer that answers, and two beside it that answer while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.aux1, self.aux2 = (nn.Linear(784, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = x.flatten(1)
        return (self.main(x), self.aux1(x), self.aux2(x)) if self.training else self.main(x)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return striped()


def trainer(dataset: Dataset, folder: Path | None = None) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(RECIPE, dataset), InMemoryLogger()
    torch.manual_seed(0)
    return Trainer(RECIPE, Heads(), ready.data_module, ready.side, log, folder), log


def test_auxiliary_losses_count_in_training_only(dataset: Dataset) -> None:
    run, _ = trainer(dataset)
    run.model.train()
    images, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 0])
    main, loss, alone = TrainStep(RECIPE, run.model, run.optimizer).loss(images, labels)
    outputs = run.model(images)
    entropies = [functional.cross_entropy(one, labels) for one in outputs]
    assert torch.allclose(loss, entropies[0] + 0.3 * (entropies[1] + entropies[2]))
    assert torch.equal(torch.stack(alone), torch.stack(entropies[1:]))
    assert torch.equal(main, outputs[0])
    score = evaluate(run.model, run.data_module.test, run.transform)
    assert score.confusion.sum() == 60
    assert run.model.training


def test_each_is_told_where_the_loss_is(dataset: Dataset) -> None:
    run, log = trainer(dataset)
    images, labels = run._batch()
    with torch.no_grad():
        first = [float(functional.cross_entropy(one, labels)) for one in run.model(images)]
    run.run()
    losses = [dict(log.series(name)) for name in ("train/loss", *NAMES)]
    assert all(list(one) == list(losses[0]) for one in losses)
    assert set(losses[0]) >= {*LOG_EARLY, run.total_steps}
    assert [one[1] for one in losses[1:]] == pytest.approx(first[1:])
    assert losses[0][1] == pytest.approx(first[0] + 0.3 * (first[1] + first[2]))


def test_a_network_without_any_tells_none(dataset: Dataset) -> None:
    ready, log = build_training(RECIPE, dataset), InMemoryLogger()
    run = Trainer(RECIPE, ready.model, ready.data_module, ready.side, log)
    run.run(lambda: run.step < 1)
    assert not [name for _, _, name, _ in log.rows if "aux" in name]


def test_stopped_within_a_report_it_is_the_same_run(dataset: Dataset, tmp_path: Path) -> None:
    whole, log = trainer(dataset)
    whole.run()
    rows, weights = [], {}
    for stop in (7, 15, whole.total_steps):
        part, partial = trainer(dataset, tmp_path)
        if (tmp_path / LAST).exists():
            part.restore(tmp_path / LAST)
        part.run(lambda part=part, stop=stop: part.step < stop)  # type: ignore[misc]
        rows += [row for row in partial.rows if row[2] not in MEASURED]
        weights = part.model.state_dict()
        kept = checkpoint.position_of(tmp_path / LAST).auxiliary
        assert (sum(kept) > 0) == (stop != whole.total_steps)
    assert rows == [row for row in log.rows if row[2] not in MEASURED]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_what_an_older_checkpoint_did_not_keep_is_told_from_the_next_report_on() -> None:
    tally, labels = EpochMetrics(2), torch.tensor([0, 1])
    tally.restore((0.0, 0.0, 0.0, 6.0, 2.0, 4.0), (2, 2), ())
    tally.add(4, torch.tensor([1.0, 2.0]), labels, labels)
    tally.drain()
    assert tally.auxiliary == []
    tally.begin_report()
    tally.add(5, torch.tensor([1.0, 2.0]), labels, labels)
    tally.drain()
    assert tally.auxiliary == [4.0]
