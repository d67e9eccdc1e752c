"""Memory format: convolutions run channels last, and a forward that calls `view` trains all the same."""

import pytest
import torch
from torch import Tensor, nn

from cnnviz.training import Recipe
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training, use_channels_last
from cnnviz.training.trainer import Trainer
from tests.training.stripes import striped


class Viewing(nn.Module):
    """Network as tutorials write it: `view` on the last maps."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.Conv2d(6, 16, 5)
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(16 * 4 * 4, classes)
        self.drop = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.norm(self.conv1(x))))
        x = self.pool(torch.relu(self.conv2(x)))
        scores: Tensor = self.fc(self.drop(self.join(x)))
        return scores

    def join(self, x: Tensor) -> Tensor:
        return x.view(-1, 16 * 4 * 4)


class Flattening(Viewing):
    """The same network with `flatten`."""

    def join(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def is_channels_last(model: Viewing) -> bool:
    return model.conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_channels_last_where_the_forward_bears_it() -> None:
    images = torch.zeros(2, 1, 28, 28)
    for model, expected in ((Flattening(), True), (Viewing(), False)):
        use_channels_last(model, images)
        assert is_channels_last(model) is expected
        model(images)


def test_the_trial_changes_neither_buffers_nor_random_numbers() -> None:
    model = Flattening()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    use_channels_last(model, torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", [Viewing, Flattening])
def test_both_train_on_augmented_images(network: type[Viewing], precision: str) -> None:
    recipe = Recipe(model="lenet5", epochs=1, batch_size=32, pad_crop=2, flip="random", precision=precision)
    ready, log = build_training(recipe, striped()), InMemoryLogger()
    model = network(len(ready.data_module.classes))
    use_channels_last(model, torch.zeros(2, 1, *ready.side))
    run = Trainer(recipe, model, ready.data_module, ready.side, log)
    assert run.run()
    assert 0 <= log.last("test/accuracy") <= 1


def test_registered_networks_are_channels_last_in_every_precision() -> None:
    for precision in ("fp32", "bf16"):
        model = build_training(Recipe(model="lenet5", precision=precision), striped()).model
        weight = model.get_parameter("conv2.weight")
        assert weight.is_contiguous(memory_format=torch.channels_last)
