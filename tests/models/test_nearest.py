"""For a model that is no list, the nearest that is."""

import pytest

from cnnviz import models
from cnnviz.models.layer_list_edit import nearest_sequential


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("lenet5-1998", "lenet5"),
        ("googlenet-aux", "googlenet"),
        ("torchvision/vgg16", "vgg16-bn-32"),
        ("torchvision/resnet50", "resnet18-32"),
        ("torchvision/convnext_base", "resnet18-32"),
    ],
)
def test_the_nearest_is_of_the_family_or_the_newest(name: str, nearest: str) -> None:
    assert nearest_sequential(models.get(name)).name == nearest


def test_every_model_has_one_that_can_be_edited() -> None:
    assert all(nearest_sequential(spec).layers is not None for spec in models.specs().values())
