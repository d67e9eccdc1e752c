"""Maps of a data set keep apart what is apart, and are the same every time."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.interpret import InterpretError, dataset_figures
from cnnviz.interpret.cache import split_batches
from cnnviz.interpret.hooks import activations, network_range, summarize_activations
from cnnviz.interpret.mosaic import Floats


def clusters(
    count: int = 40, width: int = 60
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), count)
    middle = random.normal(size=(3, width)) * 8
    return (middle[labels] + random.normal(size=(3 * count, width))).astype(np.float32), labels


@pytest.mark.parametrize("method", [dataset_figures.pca, dataset_figures.tsne])
def test_clusters_stay_apart_and_the_same(method: object) -> None:
    values, labels = clusters()
    result = method(values, seed=1)  # type: ignore[operator]
    assert result.points.shape == (120, 2)
    assert (method(values, seed=1).points == result.points).all()  # type: ignore[operator]
    middle = dataset_figures.class_centers(result.points, torch.from_numpy(labels), 4)
    assert np.isnan(middle[3]).all()
    nearest = np.linalg.norm(result.points[:, None] - middle[None, :3], axis=2).argmin(1)
    assert (nearest == labels).all()


def test_principal_components_are_those_of_the_covariance() -> None:
    values, _ = clusters()
    embedded = dataset_figures.pca(values)
    variances = np.linalg.eigvalsh(np.cov(values.T.astype(np.float64)))[::-1]
    assert embedded.points.var(axis=0, ddof=1) == pytest.approx(variances[:2], rel=1e-4)
    assert embedded.explained == pytest.approx(variances[:2] / variances.sum(), rel=1e-4)


def test_features_are_the_layers_values_pooled_where_there_are_too_many() -> None:
    torch.manual_seed(0)
    model, images = models.build("lenet5").eval(), torch.randn(7, 1, 28, 28)
    batches = split_batches(images, torch.zeros(7, dtype=torch.int64), 3)
    plain = activations(model, images, ["fc2", "conv1"])
    assert dataset_figures.features(model, batches, "fc2") == pytest.approx(plain["fc2"].numpy(), abs=1e-6)
    pooled = dataset_figures.features(model, batches, "conv1")
    expected = nn.functional.adaptive_avg_pool2d(plain["conv1"], 18).flatten(1).numpy()
    assert pooled == pytest.approx(expected, abs=1e-6)
    assert pooled.shape[1] <= dataset_figures.MAX_FEATURES


def test_what_has_no_map_is_refused() -> None:
    with pytest.raises(InterpretError, match="three images"):
        dataset_figures.pca(np.zeros((2, 5), np.float32))
    with pytest.raises(InterpretError, match="not numbers"):
        dataset_figures.tsne(np.full((5, 5), np.nan, np.float32))


def test_maps_of_what_does_not_vary_are_one_point() -> None:
    assert (dataset_figures.pca(np.ones((9, 4), np.float32)).points == 0).all()
    assert dataset_figures.pca(np.arange(9, dtype=np.float32)[:, None]).points.shape == (9, 2)


def test_the_range_of_a_network_is_that_of_all_its_layers() -> None:
    torch.manual_seed(0)
    model, image = models.build("lenet5").eval(), torch.randn(1, 1, 28, 28)
    figures = summarize_activations(model, image, ["conv1", "relu1", "conv2", "fc1"])
    low, high = network_range(figures.values())
    assert low == min(float(one.low.min()) for one in figures.values())
    assert high == max(float(one.high.max()) for one in figures.values())
