"""The images that excite a channel most are those that a full table of all images shows."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.datasets import DataError, Step
from cnnviz.interpret import InterpretError, StoppedError, UnknownLayerError, cache
from cnnviz.interpret.cache import split_batches
from cnnviz.interpret.dataset_figures import find_max_activations, load_cached, save_cached
from cnnviz.interpret.hooks import activations


def lenet() -> nn.Module:
    torch.manual_seed(0)
    return models.build("lenet5").eval()


LABELS = torch.zeros(20, dtype=torch.int64)


@pytest.mark.parametrize("layer", ["conv2", "fc1"])
@pytest.mark.parametrize(("size", "top"), [(3, 1), (7, 9), (20, 5), (8, 25)])
def test_streaming_finds_what_a_full_table_shows(size: int, top: int, layer: str) -> None:
    model, images = lenet(), torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    result = find_max_activations(model, split_batches(images, LABELS, size), [layer], top)[layer]
    side = 10 if layer == "conv2" else 1
    whole = activations(model, images, [layer])[layer].reshape(20, -1, side, side)
    peaks = whole.flatten(2).amax(2).numpy()
    assert result.values == pytest.approx(np.sort(peaks, axis=0)[::-1][:top].T, rel=1e-4, abs=1e-6)
    for channel in range(0, whole.shape[1], 5):
        for place, image in enumerate(result.images[channel].tolist()):
            y, x = result.cells[channel, place].tolist()
            assert float(whole[image, channel, y, x]) == pytest.approx(
                result.values[channel, place], rel=1e-4, abs=1e-6
            )


def test_several_layers_at_once_are_the_layers_one_by_one() -> None:
    model, images = lenet(), torch.randn(20, 1, 28, 28)
    batches = split_batches(images, LABELS, 8)
    together = find_max_activations(model, batches, ["conv1", "fc2"], 3)
    for layer, result in together.items():
        alone = find_max_activations(model, batches, [layer], 3)[layer]
        assert (result.images == alone.images).all()
        assert (result.values == alone.values).all()
    assert together.keys() == {"conv1", "fc2"}


def test_the_patch_is_what_the_cell_sees() -> None:
    model, images = lenet(), torch.randn(20, 1, 28, 28)
    result = find_max_activations(model, split_batches(images, LABELS), ["conv1"], 1)["conv1"]
    field = analyze("lenet5").row("conv1").receptive_field
    top, left, bottom, right = result.patch(2, 0, field, (28, 28))
    y, x = result.cells[2, 0].tolist()
    assert (top, bottom) == (max(0, y - 2), min(28, y + 3))
    changed = images[result.images[2, 0]].clone()
    changed[:, top:bottom, left:right] = 0
    value = activations(model, changed[None], ["conv1"])["conv1"][0, 2, y, x]
    assert float(value) == pytest.approx(float(model.get_parameter("conv1.bias")[2].detach()), abs=1e-6)


def test_progress_stop_and_refusals() -> None:
    model, images = lenet(), torch.randn(20, 1, 28, 28)
    steps: list[Step] = []
    find_max_activations(model, split_batches(images, LABELS, 8), ["conv1"], total=20, progress=steps.append)
    assert [step.done for step in steps] == [0, 8, 16, 20]
    answers = iter([False, True])
    with pytest.raises(StoppedError, match="after 8 images"):
        find_max_activations(model, split_batches(images, LABELS, 8), ["conv1"], stop=lambda: next(answers))
    with pytest.raises(InterpretError, match="no images"):
        find_max_activations(model, [], ["conv1"])
    with pytest.raises(UnknownLayerError):
        find_max_activations(model, split_batches(images, LABELS), ["conv9"])


def test_results_are_kept_on_disk() -> None:
    model = lenet()
    result = find_max_activations(model, split_batches(torch.randn(20, 1, 28, 28), LABELS), ["conv1"])[
        "conv1"
    ]
    key = cache.cache_key(cache.fingerprint(model), "conv1", "data", {"mean": [0.5]})
    assert load_cached(key) is None
    save_cached(key, result)
    again = load_cached(key)
    assert again is not None
    assert (again.images == result.images).all()
    assert (again.cells == result.cells).all()
    assert again.values.dtype == np.float32
    assert [path.name for path in cache.cache_path("exciting", key).parent.iterdir()] == [f"{key}.npz"]
    cache.cache_path("exciting", key).write_bytes(b"damaged")
    assert load_cached(key) is None


def test_a_home_that_cannot_be_written_is_named() -> None:
    path = cache.cache_path("exciting", "key")
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file where a folder should be")
    with pytest.raises(DataError, match="CNNVIZ_HOME"):
        cache.save("exciting", "key", {"a": np.zeros(3)})


def test_a_fingerprint_is_of_structure_and_every_weight() -> None:
    model = lenet()
    before = cache.fingerprint(model)
    assert cache.fingerprint(lenet()) == before
    assert cache.fingerprint(nn.Sequential(nn.Conv2d(1, 1, 3, stride=2))) != before
    with torch.no_grad():
        model.get_parameter("fc3.bias")[0] += 1e-6
    assert cache.fingerprint(model) != before
    torch.manual_seed(0)
    one = nn.Sequential(nn.MaxPool2d(2))
    assert cache.fingerprint(one) != cache.fingerprint(nn.Sequential(nn.MaxPool2d(3)))
