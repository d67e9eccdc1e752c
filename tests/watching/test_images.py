"""What a watched loop's images show: copies, changed labels, few or other images, label noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun
from cnnviz.watching.diagnosing import Report
from cnnviz.watching.image_sample import ImageSample
from tests.watching.loops import CLASSES, seeded

Part = tuple[Tensor, Tensor]


def rows_of_light(count: int, seed: int, channels: int = 1) -> Part:
    """A bright row at one of three heights in noise, `(N, C, 6, 6)`, standardized: looks tell the class."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=draw)
    values = torch.randn(count, channels, 6, 6, generator=draw) * 0.5
    values[torch.arange(count), :, labels * 2] += 1.5
    return values, labels


def network(channels: int = 1) -> nn.Sequential:
    """A small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, CLASSES)
    )


def train(
    database: Database,
    learned: Part,
    judged: Part,
    *,
    epochs: int = 8,
    order: Callable[[int], tuple[Tensor, Tensor]] | None = None,
    augment: Callable[[Tensor], Tensor] = lambda images: images,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda _, x, y: functional.cross_entropy(x, y),
    model: nn.Module | None = None,
    make: Callable[[nn.Module], list[torch.optim.Optimizer]] = lambda m: [
        torch.optim.Adam(m.parameters(), 0.003)
    ],
    step: Callable[[list[torch.optim.Optimizer]], None] = lambda every: every[0].step(),
) -> Report:
    """Train and judge; `order(epoch)` gives the order of images and of labels."""
    with seeded():
        images, labels = learned
        model = model or network(images.shape[1])
        optimizers = make(model)
        run: WatchedRun = cnnviz.watch(model, optimizers, database=database)
        for epoch in range(epochs):
            at, of = order(epoch) if order else (torch.randperm(len(images)),) * 2
            model.train()
            for rows, numbers in zip(at.split(20), of.split(20), strict=True):
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss(model, model(augment(images[rows])), labels[numbers]).backward()
                step(optimizers)
            model.eval()
            with torch.no_grad():
                run.evaluate(model(judged[0]), judged[1])
        report = run.diagnose()
        run.finish()
    return report


TRAIN, TEST = rows_of_light(400, 1), rows_of_light(200, 2)


def test_judged_images_that_were_learned_from_are_leakage(database: Database) -> None:
    mixed = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    judged = (torch.cat([TEST[0], TRAIN[0][:100]])[mixed], torch.cat([TEST[1], TRAIN[1][:100]])[mixed])
    report = train(database, TRAIN, judged)
    assert report.causes == ("leakage",)
    assert "33 % of the judged images" in report.verdict


def test_training_images_that_are_judged_apart_are_no_leakage(database: Database) -> None:
    judged = (torch.cat([TRAIN[0], TEST[0]]), torch.cat([TRAIN[1], TEST[1]]))
    assert train(database, TRAIN, judged).healthy


def test_rows_that_repeat_by_nature_are_no_leakage(database: Database) -> None:
    few, draw = rows_of_light(30, 3), torch.Generator().manual_seed(0)
    at, other = (torch.randint(0, 30, (n,), generator=draw) for n in (400, 200))
    assert train(database, (few[0][at], few[1][at]), (few[0][other], few[1][other])).causes == ()


def test_an_image_that_comes_with_another_label_in_each_epoch(database: Database) -> None:
    report = train(database, TRAIN, TEST, order=lambda _: (torch.randperm(400), torch.randperm(400)))
    assert report.causes[0] == "labels-shuffled"
    assert "The same image comes with another label" in report.verdict


def test_labels_dealt_out_once_are_shuffled_where_looks_tell_those_of_judged_images(
    database: Database,
) -> None:
    wrong = TRAIN[1][torch.randperm(400, generator=torch.Generator().manual_seed(0))]
    assert train(database, (TRAIN[0], wrong), TEST, epochs=8).causes[:1] == ("labels-shuffled",)


def test_guessed_labels_are_noise_where_looks_tell_those_of_judged_images(database: Database) -> None:
    draw = torch.Generator().manual_seed(0)
    guessed = torch.where(
        torch.rand(400, generator=draw) < 0.6, torch.randint(0, CLASSES, (400,), generator=draw), TRAIN[1]
    )
    assert train(database, (TRAIN[0], guessed), TEST, epochs=4).causes[:1] == ("labels-noisy",)


def test_a_sampler_that_draws_a_handful_of_images(database: Database) -> None:
    def order(_: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(0, CLASSES, (400,))
        return rows, rows

    report = train(database, TRAIN, TEST, order=order)
    assert report.causes[:1] == ("same-batch",)
    assert "different ones" in report.verdict


def test_the_number_of_training_images_is_that_of_different_ones(database: Database) -> None:
    def order(_: int) -> tuple[Tensor, Tensor]:
        rows = torch.cat([torch.randperm(40) for _ in range(10)])
        return rows, rows

    hard = rows_of_light(400, 5)
    noise = torch.randn(hard[0].shape, generator=torch.Generator().manual_seed(0)) * 1.5
    judged = rows_of_light(300, 6)
    louder = torch.randn(judged[0].shape, generator=torch.Generator().manual_seed(1)) * 1.5
    report = train(database, (hard[0] + noise, hard[1]), (judged[0] + louder, judged[1]), order=order)
    assert report.causes[:1] == ("over-fitting-data",)
    assert "40 training images" in report.verdict


def test_images_of_another_kind_are_told_by_their_neighbors(database: Database) -> None:
    turned = (TEST[0].roll(2, 2), TEST[1])
    causes = train(database, TRAIN, turned).causes
    assert causes[:1] in (("split-mismatch",), ("labels-permuted",))


@pytest.mark.parametrize(("side", "found"), [(6, True), (2, False)])
def test_training_images_that_are_blanked(side: int, found: bool, database: Database) -> None:
    def erase(images: Tensor) -> Tensor:
        mask = torch.ones(6, 6)
        mask[:side, :side] = 0
        mask[5, 5] = 1
        return images * mask

    report = train(database, TRAIN, TEST, augment=erase, epochs=4)
    assert ("augmentation-too-strong" in report.causes[:1]) is found


def test_a_penalty_in_the_loss_itself(database: Database) -> None:
    def penalized(model: nn.Module, logits: Tensor, labels: Tensor, by: float = 10.0) -> Tensor:
        return functional.cross_entropy(logits, labels) + by * sum(
            p.square().sum() for p in model.parameters()
        )

    strong = train(database, TRAIN, TEST, loss=penalized)
    assert strong.causes[:1] == ("weight-decay",)
    assert "penalty on the weights" in strong.verdict
    mild = train(database, TRAIN, TEST, loss=lambda m, x, y: penalized(m, x, y, 1e-4))
    assert "weight-decay" not in mild.causes


class CutOff(nn.Module):
    """A trunk whose output is detached below a head."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU())
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        logits: Tensor = self.head(self.trunk(x).detach())
        return logits


def test_first_layers_that_are_cut_off_from_the_loss(database: Database) -> None:
    report = train(database, TRAIN, TEST, model=CutOff())
    assert report.causes[:1] == ("loss-detached",)
    assert "'trunk.1'" in report.verdict


def test_one_of_two_optimizers_never_steps(database: Database) -> None:
    def make(model: nn.Module) -> list[torch.optim.Optimizer]:
        first, last = model[0], model[3]  # type: ignore[index]
        return [torch.optim.Adam(last.parameters(), 0.001), torch.optim.Adam(first.parameters(), 0.001)]

    model = nn.Sequential(nn.Conv2d(1, 64, 6), nn.Flatten(), nn.ReLU(), nn.Linear(64, CLASSES))
    report = train(database, TRAIN, TEST, model=model, make=make, step=lambda every: every[0].step())
    assert report.causes[:1] == ("optimizer-never-steps",)


@pytest.mark.parametrize(("factor", "found"), [(20.0, True), (1.5, False)])
def test_first_weights_that_are_far_too_large(factor: float, found: bool, database: Database) -> None:
    with seeded():
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 16), nn.LayerNorm(16),
            nn.ReLU(), nn.Linear(16, CLASSES),
        )  # fmt: skip
    for part in model:
        if isinstance(part, nn.Linear):
            part.weight.data *= factor
    report = train(database, TRAIN, TEST, model=model, epochs=2)
    assert ("initialisation" in report.causes[:1]) is found


def test_marks_tell_images_apart_and_copies_not() -> None:
    sample, images = ImageSample(), torch.rand(50, 3, 40, 40)
    one, other = sample.marks(images), sample.marks(images[10:20])
    assert one is not None
    assert other is not None
    labels = torch.zeros(50, dtype=torch.int64).numpy()
    sample.add_trained(one, labels)
    sample.add_trained(other, labels[:10] + 1)
    counts = sample.counts(50)
    assert (counts["distinct"], counts["again"], counts["relabelled"]) == (50, 10, 10)


def test_ordinal_targets_are_no_classes(database: Database) -> None:
    """Targets "more than k" for every k: several ones in a row, or none; a largest output is no answer."""
    learned, judged = rows_of_light(600, 0), rows_of_light(300, 1)
    steps = torch.arange(CLASSES)

    def ordinal(_: nn.Module, logits: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, (y[:, None] > steps).float())

    assert not train(database, learned, judged, loss=ordinal).causes


def test_images_whose_labels_the_network_guesses_are_not_judged(database: Database) -> None:
    """Pseudo-labels (Lee, 2013): a pass over images without labels, then training on those it is sure of."""
    (known, labels), (pool, _), judged = rows_of_light(200, 0), rows_of_light(300, 1), rows_of_light(200, 2)
    with seeded():
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        run = cnnviz.watch(model, optimizer, database=database)
        values = known
        for _ in range(8):
            model.train()
            for rows in torch.randperm(len(values)).split(20):
                optimizer.zero_grad()
                functional.cross_entropy(model(values[rows]), labels[rows]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                run.evaluate(model(judged[0]), judged[1])
                sure, guess = model(pool).softmax(1).max(1)
            sure[::2] = 0  # of others it is not sure
            values = torch.cat([known, pool[sure > 0.9]])
            labels = torch.cat([labels[:200], guess[sure > 0.9]])
        report = run.diagnose()
        run.finish()
    assert not report.causes


def test_a_run_that_has_ended_holds_no_images(database: Database) -> None:
    values, labels = rows_of_light(40, 0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    run = cnnviz.watch(model, optimizer, database=database)
    functional.cross_entropy(model(values), labels).backward()
    optimizer.step()
    run.diagnose()
    assert run.monitor.images.counts(0)["seen"] == 40
    run.finish()
    assert run.monitor.images.counts(0) == {}


def test_class_probabilities_without_a_largest_one_are_not_counted_as_labels(database: Database) -> None:
    """Half of one class and half of another, as mixup may give: no label, and none of the number -1."""
    learned, judged = rows_of_light(600, 0), rows_of_light(300, 1)

    def halves(_: nn.Module, logits: Tensor, y: Tensor) -> Tensor:
        both = functional.one_hot(y, CLASSES) + functional.one_hot((y + 1) % CLASSES, CLASSES)
        return functional.cross_entropy(logits, both / 2)

    assert "labels-out-of-range" not in train(database, learned, judged, loss=halves).causes
