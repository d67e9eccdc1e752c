"""RMSprop, gradient clipping, class weights, mixup, early stopping: each as its source has it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from cnnviz.training import Recipe, checkpoint
from cnnviz.training.metrics import Score
from cnnviz.training.optimizer import (
    EarlyStopping,
    balanced_weights,
    build_optimizer,
    cross_entropy,
    mixup,
    skip_after_nonfinite,
)
from cnnviz.training.recipe import state_tensors
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import BEST, LAST, Trainer, TrainStep
from tests.training.stripes import striped

SMALL = Recipe(model="lenet5", epochs=6, batch_size=32, lr=0.05, seed=7)


def trainer(recipe: Recipe, folder: Path | None = None) -> tuple[Trainer, InMemoryLogger]:
    ready, log = build_training(recipe, striped()), InMemoryLogger()
    return Trainer(
        recipe, ready.model, ready.data_module, ready.side, log, folder, data_report=False
    ), log  # fmt: skip


def stepped(chosen: torch.optim.Optimizer, layer: nn.Linear, times: int = 3) -> Tensor:
    """The weights after some steps on a fixed loss."""
    for number in range(times):
        chosen.zero_grad()
        (layer(torch.eye(3)) * (number + 1)).square().sum().backward()
        chosen.step()
    return layer.weight.detach().clone()


def linear() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(3, 2)


def test_rmsprop_is_torch_s() -> None:
    recipe = Recipe(optimiser="rmsprop", lr=1e-2, alpha=0.9, momentum=0.5, weight_decay=1e-3)
    ours, theirs = linear(), linear()
    other = torch.optim.RMSprop(theirs.parameters(), 1e-2, alpha=0.9, momentum=0.5, weight_decay=1e-3)
    chosen = build_optimizer(recipe, ours.parameters())
    assert torch.equal(stepped(chosen, ours), stepped(other, theirs))
    kept = [value for value in chosen.state[ours.weight].values() if value.shape == ours.weight.shape]
    assert len(kept) == state_tensors(recipe) == 2


def test_after_a_loss_that_is_no_number_rmsprop_leaves_weights_as_they_are() -> None:
    layer = linear()
    chosen = build_optimizer(Recipe(optimiser="rmsprop", weight_decay=0.1), layer.parameters())
    before = stepped(chosen, layer, 1)
    skip_after_nonfinite(chosen, torch.tensor(float("nan")))
    assert torch.equal(stepped(chosen, layer), before)


@pytest.mark.parametrize("most", [0.01, 1e6])
def test_a_step_with_clipping_is_one_with_clip_grad_norm(most: float) -> None:
    images, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    recipe = Recipe(optimiser="sgd", lr=1.0, momentum=0.0, clip_norm=most)
    ours, theirs = linear(), linear()
    TrainStep(recipe, ours, build_optimizer(recipe, ours.parameters()))(images, labels)
    before = theirs.weight.detach().clone()
    nn.functional.cross_entropy(theirs(images), labels).backward()  # type: ignore[no-untyped-call]
    total = nn.utils.clip_grad_norm_(theirs.parameters(), most)
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.weight.detach(), before - theirs.weight.grad)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(ours.parameters(), linear().parameters(), strict=True)]
    )
    assert float(moved.detach().norm()) == pytest.approx(min(most, float(total)), rel=1e-3)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_balanced_weights_are_scikit_learn_s(labels: list[int]) -> None:
    present = np.unique(labels)
    theirs = compute_class_weight("balanced", classes=present, y=np.array(labels))
    ours = balanced_weights(torch.tensor(labels), 6)
    np.testing.assert_allclose(ours[present], theirs, rtol=1e-6)
    assert all(float(ours[absent]) == 1 for absent in set(range(6)) - set(labels))


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1]), st.booleans())
def test_the_loss_is_torch_s_also_of_labels_written_as_shares(
    seed: int, smoothing: float, weighted: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, labels = torch.randn(8, 5, generator=generator), torch.randint(5, (8,), generator=generator)
    weight = torch.rand(5, generator=generator) + 0.1 if weighted else None
    theirs = nn.CrossEntropyLoss(weight, label_smoothing=smoothing)(logits, labels)
    shares = nn.functional.one_hot(labels, 5).float()
    assert torch.equal(cross_entropy(logits, labels, smoothing, weight), theirs)
    torch.testing.assert_close(cross_entropy(logits, shares, smoothing, weight), theirs)


def test_the_loss_of_mixed_images_is_mixed_from_those_of_both_labels() -> None:
    logits, one, two = torch.randn(6, 4), torch.randint(4, (6,)), torch.randint(4, (6,))
    mixed = 0.7 * nn.functional.one_hot(one, 4).float() + 0.3 * nn.functional.one_hot(two, 4).float()
    paper = 0.7 * nn.functional.cross_entropy(logits, one) + 0.3 * nn.functional.cross_entropy(logits, two)
    torch.testing.assert_close(cross_entropy(logits, mixed, 0.0, None), paper)


@given(st.integers(0, 2**62), st.floats(0.05, 8))
def test_mixup_mixes_images_as_it_mixes_labels(seed: int, alpha: float) -> None:
    labels = torch.arange(6) % 3
    # An image that is its label's number everywhere: what became of it says with what it was mixed.
    images = nn.functional.one_hot(labels, 3).float()[:, :, None, None].expand(6, 3, 2, 2)

    def drawn() -> tuple[Tensor, Tensor]:
        return mixup(images, labels, 3, alpha, seed, torch.Generator().manual_seed(seed))

    mixed, shares = drawn()
    torch.testing.assert_close(mixed[:, :, 0, 0], shares)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    assert bool((shares[torch.arange(6), labels] >= 0.5).all())
    again = drawn()
    assert torch.equal(mixed, again[0])
    assert torch.equal(shares, again[1])


def test_lambda_is_drawn_from_the_beta_distribution() -> None:
    """The larger part of Beta(1, 1), which is uniform: 3/4 in the mean."""
    pair, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    parts = []
    for seed in range(400):
        shares = mixup(pair, labels, 2, 1.0, seed, torch.Generator().manual_seed(seed))[1]
        parts += [float(shares[0, 0])] if float(shares[0, 0]) < 1 else []
    assert len(parts) > 100
    assert np.mean(parts) == pytest.approx(0.75, abs=4 * 0.144 / len(parts) ** 0.5)


def test_with_mixup_a_run_learns_and_tells_of_training_images_at_the_end() -> None:
    run, log = trainer(SMALL.changed({"mixup": 0.4, "epochs": 3}))
    run.run()
    assert log.last("test/accuracy") > 0.9
    assert all(0 <= value <= 1 for _, value in log.series("train/epoch_accuracy"))
    evaluated = next(body for _, kind, body in log.records if kind == "train/evaluated")
    assert evaluated["accuracy"] > 0.9


def scored(loss: float, accuracy: float = 0.5) -> Score:
    return Score(loss, accuracy, 1.0, torch.zeros(2, 2), 0.0)


@pytest.mark.parametrize(
    ("metric", "scores", "ends", "best"),
    [
        ("loss", [(1.0, 0.1), (0.8, 0.1), (0.9, 0.9), (0.8, 0.9)], 4, 2),
        ("accuracy", [(1.0, 0.1), (0.8, 0.4), (0.7, 0.4), (0.6, 0.3)], 4, 2),
        ("loss", [(1.0, 0.1), (1.1, 0.1), (0.9, 0.1), (1.0, 0.1)], None, 3),
    ],
)
def test_patience_is_counted_from_the_best_epoch(
    metric: str, scores: list[tuple[float, float]], ends: int | None, best: int
) -> None:
    stopping = EarlyStopping(2, metric)
    for epoch, score in enumerate(scores, 1):
        stopping.update(epoch, scored(*score))
        assert stopping.stopped == (epoch == ends)
    assert stopping.best_epoch == best
    assert not EarlyStopping(0, waited=9).stopped


def too_fast(**more: Any) -> Recipe:
    """A run whose validation loss soon gets worse: it begins well and its rate is too high to stay there."""
    return SMALL.changed({"early_stopping": 1, "epochs": 40, "lr": 0.2, **more})


def test_a_run_ends_early_and_says_at_which_epoch_and_why(tmp_path: Path) -> None:
    run, log = trainer(too_fast(), tmp_path)
    assert run.run()
    losses = [value for _, value in log.series("val/loss")]
    assert len(losses) < 40
    assert losses[-1] >= min(losses[:-1])
    (record,) = [body for _, kind, body in log.records if kind == "early_stopping"]
    assert record["stopped"]
    assert not record["restored"]
    begins = f"Early stopping ended the run after epoch {len(losses)}: for 1 epoch the validation loss"
    assert record["note"].startswith(begins)
    assert {"train/evaluated"} <= {kind for _, kind, _ in log.records}, (
        "the end's records are those of any end"
    )
    last = checkpoint.read(tmp_path / LAST).weights
    assert all(torch.equal(value, last[name]) for name, value in run.model.state_dict().items())
    # Killed after its last checkpoint and before its end was recorded, it makes no further step.
    again, _ = trainer(too_fast(), tmp_path)
    again.restore(tmp_path / LAST)
    assert again.run()
    assert again.step == run.step


@pytest.mark.parametrize("with_files", [True, False])
def test_restoring_leaves_the_weights_of_the_best_epoch(tmp_path: Path, with_files: bool) -> None:
    run, log = trainer(too_fast(restore_best=True), tmp_path if with_files else None)
    run.run()
    (record,) = [body for _, kind, body in log.records if kind == "early_stopping"]
    assert record["restored"]
    assert record["note"].endswith(f"The weights of epoch {record['best_epoch']} were restored, and the last "
                                   "test figures are theirs.")  # fmt: skip
    tests = dict(log.series("test/loss"))
    assert tests[run.step] == tests[record["best_epoch"] * run.steps_per_epoch]
    if with_files:
        last, best = (checkpoint.read(tmp_path / name).weights for name in (LAST, BEST))
        assert all(torch.equal(last[name], best[name]) for name in last)


def test_what_cannot_be_is_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="watches validation images: 'validation' must be above 0"):
        Recipe().changed({"early_stopping": 3, "validation": 0})
    with pytest.raises(ValueError, match="a part of early stopping"):
        Recipe().changed({"restore_best": True})


def test_recipes_without_these_options_are_written_as_before() -> None:
    assert Recipe().write() == '{\n  "format": "cnnviz-recipe/1"\n}\n'
    assert Recipe.read('{"format": "cnnviz-recipe/1", "optimiser": "adam"}').mixup == 0
