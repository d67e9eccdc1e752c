"""What each probe finds: on networks made for it, and on fresh ones of a small recipe. No run is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.datasets import Dataset, Part
from cnnviz.diagnosis import Evidence, Points, probes
from cnnviz.diagnosis.probes import Result
from cnnviz.diagnosis.probes.context import ProbeContext
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear, Pool
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule
from cnnviz.training.data.label_agreement import half_split_accuracy
from cnnviz.training.data.transforms import Statistics, Transform
from tests.training.stripes import striped

LAYERS = LayerList(
    name="small",
    input=(1, 28, 28),
    classes=3,
    layers=(
        Conv(name="conv1", out=4, kernel=5),
        Pool(kernel=4),
        Flatten(),
        Linear(name="fc1", out="classes"),
    ),
)
RECIPE = Recipe(layers=LAYERS, validation=0.2, batch_size=16, optimiser="sgd", lr=0.05, momentum=0.9)


class Rule(nn.Module):
    """Knows the stripes without learning: which third of the image is brightest; or always says the first."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind, self.drop = blind, nn.Dropout(0.95)

    def forward(self, x: Tensor) -> Tensor:
        thirds = torch.stack([x[:, 0, 9 * n : 9 * n + 9].mean((1, 2)) for n in range(3)], 1)
        if self.blind:
            return torch.tensor([[3.0, 0.0, 0.0]]).expand(len(x), 3)
        kept: Tensor = self.drop(5 * thirds)
        return kept


def subject(
    recipe: Recipe = RECIPE, trained: nn.Module | None = None, data: Dataset | None = None
) -> ProbeContext:
    """A subject on stripes whose recorded accuracy is 1."""
    from cnnviz import models
    from cnnviz.training.recipe import spec_for

    torch.manual_seed(0)
    dataset = data or striped()
    data_module = DataModule.of(dataset, recipe, 1, torch.device("cpu"))
    evidence = Evidence(recipe=recipe, curves={"test/accuracy": Points(steps=(8,), values=(1.0,))})
    return ProbeContext(
        evidence=evidence,
        recipe=recipe,
        data_module=data_module,
        transform=Transform(recipe, Statistics.of(data_module.train.images), (28, 28)),
        device=torch.device("cpu"),
        trained=trained,
        why_untrained="",
        step=8,
        macs=1,
        _fresh=models.build(spec_for(recipe), 3, (28, 28), None),
    )


def ask(name: str, about: ProbeContext) -> Result:
    return probes()[name].ask(about)


def test_a_sound_recipe_learns_a_batch_by_heart_and_so_does_the_reference() -> None:
    result = ask("overfit-batch", subject())
    assert set(result["arms"]) == {"own", "reference"}
    assert result["arms"]["own"]["accuracy"] == 1
    assert result["arms"]["own"]["loss"] < 0.05
    assert result["arms"]["own"]["losses"][0] > 0.8


def test_with_too_much_decay_only_the_arm_without_it_learns_the_batch() -> None:
    arms = ask("overfit-batch", subject(RECIPE.changed({"weight_decay": 3.0})))["arms"]
    assert set(arms) == {"own", "no-decay", "reference"}
    assert arms["own"]["loss"] > 5 * arms["no-decay"]["loss"]


def test_an_arm_that_stops_being_finite_ends_there() -> None:
    # Each step multiplies weights by 1 − 1000 · 10.
    arms = ask("overfit-batch", subject(RECIPE.changed({"lr": 1000, "momentum": 0, "weight_decay": 10})))[
        "arms"
    ]
    assert arms["own"]["loss"] is None
    assert arms["own"]["losses"][0] > 0.8
    assert arms["reference"]["loss"] < 1


def test_gradients_come_back_to_every_layer_that_has_weights() -> None:
    result = ask("gradient-flow", subject())
    assert [one["name"] for one in result["layers"]] == ["conv1", "fc1"]
    assert all(one["fresh"]["gradient"] > 0 and one["trained"] is None for one in result["layers"])
    first = result["layers"][0]["fresh"]
    assert first["ratio"] == pytest.approx(first["gradient"] / first["weight"])


def test_answers_move_with_the_image_unless_the_network_is_blind() -> None:
    seeing, blind = (ask("shuffled-inputs", subject(trained=Rule(blind))) for blind in (False, True))
    assert seeing["accuracy"] == 1
    assert seeing["accuracy_pixels_shuffled"] < 0.6
    assert min(seeing["moved_by_shuffling"], seeing["moved_by_exchange"]) > 0.2
    assert blind["moved_by_shuffling"] == blind["moved_by_exchange"] == 0


def test_accuracy_in_both_modes_beside_what_was_recorded() -> None:
    result = ask("evaluation-mode", subject(trained=Rule()))
    assert result["evaluation"] == result["recorded"] == 1
    assert result["training"] < 0.7
    assert result["images"] == 60


def test_images_in_two_parts_are_found_exactly_or_nearly() -> None:
    clean = striped()
    images = clean.test.images.copy()
    images[:20] = clean.train.images[:20]
    copied = replace(clean, test=Part(images, clean.test.labels))
    dim = replace(
        clean, test=Part(clean.train.images[:60] - np.minimum(clean.train.images[:60], 1), clean.test.labels)
    )
    recipe = RECIPE.changed({"validation": 0})
    assert ask("duplicates", subject(recipe, data=copied))["exact"]["test"] == 20
    nearly = ask("duplicates", subject(recipe, data=dim))
    assert nearly["exact"]["test"] == 0
    assert nearly["near"]["share"] == 1
    assert ask("duplicates", subject(recipe, data=clean))["near"]["share"] == 0


def test_labels_follow_from_images_unless_they_are_shuffled() -> None:
    clean = striped()
    mixed = np.random.default_rng(0).permutation(clean.train.labels)
    shuffled = replace(clean, train=Part(clean.train.images, mixed))
    sound, wrong = (ask("label-agreement", subject(data=one)) for one in (clean, shuffled))
    assert sound["patches"]["share"] > 0.9
    assert sound["neighbours"]["share"] > 0.9
    assert wrong["patches"]["share"] < 0.6
    assert "confident" not in wrong


def test_sure_answers_that_meet_other_labels_are_counted_and_shown() -> None:
    clean = striped()
    labels = clean.train.labels.copy()
    labels[::2] = (labels[::2] + 1) % 3
    result = ask(
        "label-agreement",
        subject(trained=Rule(), data=replace(clean, train=Part(clean.train.images, labels))),
    )
    assert result["confident"]["test"]["share"] == 1
    # A fifth of 60 test images; of 32 validation images a fifth is too few to say.
    assert result["confident"]["test"]["images"] == 12
    assert result["doubted"]
    for one in result["doubted"]:
        assert one["answer"] == (one["label"] - 1) % 3
        assert one["sure"] >= 0.9


def test_a_linear_classifier_of_patches_needs_eight_pixels_and_twenty_images() -> None:
    images = torch.zeros(30, 1, 8, 8, dtype=torch.uint8)
    assert half_split_accuracy(images[:, :, :7, :7], torch.zeros(30, dtype=torch.int64), 2) is None
    assert half_split_accuracy(images[:10], torch.zeros(10, dtype=torch.int64), 2) is None


def test_the_loss_of_fresh_weights_is_that_of_their_logits() -> None:
    about = subject()
    result = ask("initial-loss", about)
    images, labels = about.some(about.data_module.train, 256)
    with torch.no_grad():
        logits = about.fresh()(about.transform.test(images))
    assert result["loss"] == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-4)
