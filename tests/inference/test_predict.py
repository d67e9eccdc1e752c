"""Predictions: those of training's evaluation, in order, whatever else is in the batch."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import datasets, tracking
from cnnviz.datasets import Step
from cnnviz.inference import ClassProbability
from cnnviz.inference.evaluate import evaluate
from cnnviz.inference.images.read_image import Picture, Refusal, Upload
from cnnviz.inference.predict import (
    STRETCHES,
    TOLERANCE,
    Item,
    Prediction,
    Predictor,
    Result,
    _blocks,
    batch_size,
    measure,
    peak_bytes,
)
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.inference.weights.loaders import from_run
from cnnviz.inference.weights.references import load
from cnnviz.tracking import Database
from tests.datasets.making import encoded


@pytest.fixture
def loaded(database: Database) -> Loaded:
    return from_run(database, 1)


def digits(count: int | None = None) -> list[Picture]:
    test = datasets.load("digits").test
    return [
        Picture.of_data(str(number), image, truth=str(label))
        for number, (image, label) in enumerate(zip(test.images, test.labels, strict=True))
    ][:count]


def test_what_is_predicted_is_what_training_measured(database: Database, loaded: Loaded) -> None:
    results = Predictor(loaded).predict(digits())
    result = evaluate(results, loaded.classes)
    measured = tracking.latest_record(database, 1, "test/confusion")
    assert measured is not None
    assert result.accuracy == loaded.accuracy
    assert np.array_equal(result.confusion, np.array(measured.body))
    assert result.counted == len(results)
    assert len(result.mistakes) == result.counted - result.right
    sure = [float(wrong.probabilities.max()) for wrong in result.mistakes]
    assert sure == sorted(sure, reverse=True)
    assert np.allclose(np.nansum(result.by_class * result.confusion.sum(1)), result.right)


def test_an_answer_does_not_depend_on_its_company(loaded: Loaded) -> None:
    predictor, pictures = Predictor(loaded), digits(70)
    together = predictor.predict(pictures)
    for number in (0, 5, 63, 64, 69):
        (alone,) = predictor.predict(pictures[number : number + 1])
        one = together[number]
        assert isinstance(alone, Prediction)
        assert isinstance(one, Prediction)
        assert np.abs(alone.probabilities - one.probabilities).max() <= TOLERANCE
        assert [answer.name for answer in alone.top] == [answer.name for answer in one.top]


def test_files_are_answered_as_the_images_in_them(loaded: Loaded) -> None:
    pictures = digits(3)
    files = [Upload(p.name, encoded(p.pixels[..., 0])) for p in pictures]
    for ours, theirs in zip(
        Predictor(loaded).predict(files), Predictor(loaded).predict(pictures), strict=True
    ):
        assert isinstance(ours, Prediction)
        assert isinstance(theirs, Prediction)
        assert np.array_equal(ours.probabilities, theirs.probabilities)
        assert len(ours.top) == 5
        assert ours.top[0] == ClassProbability(
            loaded.classes[int(ours.probabilities.argmax())], float(ours.probabilities.max())
        )
        assert float(ours.probabilities.sum()) == pytest.approx(1, abs=1e-5)


def test_refusals_keep_their_places(loaded: Loaded) -> None:
    picture = digits(1)[0]
    items: list[Item] = [Upload("a", b"?"), picture, Refusal("c", "No."), picture]
    predicted = Predictor(loaded).predict(iter(items), top=2)
    assert [type(result) for result in predicted] == [Refusal, Prediction, Refusal, Prediction]
    assert [result.name for result in predicted] == ["a", "0", "c", "0"]
    assert Predictor(loaded).predict([]) == []


def test_progress_is_told_and_cancelling_keeps_what_is_done(loaded: Loaded) -> None:
    predictor, steps = Predictor(loaded), list[Step]()
    pictures = digits(2 * predictor.batch + 1)
    predicted = predictor.predict(pictures, progress=steps.append, cancelled=lambda: bool(steps))
    assert len(predicted) == STRETCHES[0]
    assert steps == [Step("predicting", STRETCHES[0], len(pictures), "pictures")]


def test_batches_grow_and_are_cut_where_a_model_takes_fewer(loaded: Loaded) -> None:
    predictor = Predictor(loaded)
    assert list(islice(predictor.sizes(), 5)) == [8, 16, 32, 64, 64]
    predictor.batch = 20
    assert list(islice(predictor.sizes(), 8)) == [8, 16, 20, 12, 20, 20, 20, 4]


def test_large_images_are_prepared_a_few_at_a_time() -> None:
    large, small = (
        Picture("large", np.zeros((1500, 2000, 3), np.uint8)),
        Picture("s", np.zeros((5, 5, 3), np.uint8)),
    )
    assert [len(block) for block in _blocks([small] * 17)] == [8, 8, 1]
    assert [len(block) for block in _blocks([large, small, large, small])] == [1, 2, 1]
    assert [len(block) for block in _blocks([Upload("x", b"?")] * 9)] == [8, 1]
    assert [list(block) for block in _blocks([])] == []


def test_ten_crops_are_averaged(loaded: Loaded) -> None:
    how = loaded.preprocessing.changed(ten_crop=True)
    ten = Loaded(**(vars(loaded) | {"preprocessing": how}))
    (result,) = Predictor(ten).predict(digits(1))
    assert isinstance(result, Prediction)
    from cnnviz.inference.images.preprocessing_trace import stored_pixels

    with torch.no_grad():
        crops = loaded.model(how.inputs(torch.from_numpy(stored_pixels(digits(1)[0], how))[None])).softmax(1)
    assert crops.shape[0] == 10
    assert np.allclose(result.probabilities, crops.mean(0).numpy(), atol=1e-6)


def test_a_batch_of_ten_crops_has_a_tenth_of_the_images(loaded: Loaded) -> None:
    ten = replace(loaded, preprocessing=loaded.preprocessing.changed(ten_crop=True))
    one = peak_bytes(loaded.model, torch.zeros(1, *loaded.input_shape))
    assert (batch_size(loaded, 40 * one), batch_size(ten, 40 * one)) == (40, 4)
    assert (batch_size(loaded, one // 2), batch_size(ten, one // 2)) == (1, 1)


def test_damaged_weights_are_said_and_not_drawn() -> None:
    loaded = load("fresh:lenet5")
    with torch.no_grad():
        loaded.model.get_parameter("fc3.bias").fill_(float("nan"))
    (refused,) = Predictor(loaded).predict([Picture("x", np.zeros((5, 5, 3), np.uint8))])
    assert isinstance(refused, Refusal)
    assert "no finite numbers" in refused.reason


def prediction(truth: str | None, *shares: float) -> Prediction:
    return Prediction("x", (), np.array(shares, np.float32), truth)


def test_true_classes_are_found_by_name_or_number() -> None:
    results: list[Result] = [
        prediction("Maple_Tree", 0.9, 0.1, 0.0),
        prediction("maple-tree", 0.2, 0.8, 0.0),
        prediction("2", 0.0, 0.0, 1.0),
        prediction("unicorn", 1.0, 0.0, 0.0),
        prediction(None, 1.0, 0.0, 0.0),
        Refusal("y", "No.", "dog"),
    ]
    result = evaluate(results, ("maple tree", "dog", "cat"))
    assert (result.right, result.counted, result.unknown) == (2, 3, ("unicorn",))
    assert result.confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert result.mistakes == (results[1],)
    assert np.isnan(result.by_class[1])
    assert evaluate([], ("a", "b")).accuracy is None


def test_the_memory_of_a_forward_is_counted() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    assert peak_bytes(model, torch.zeros(3, 4)) == 4 * 3 * (4 + 8 + 8)
    assert not any(module._forward_hooks for module in model.modules())


def test_cost_is_measured(loaded: Loaded) -> None:
    cost = measure(loaded)
    assert cost.weight_bytes == 4 * 61_706
    assert cost.seconds > 0
    assert cost.seconds_in_batch > 0
    assert batch_size(loaded, cost.working_bytes * 3) == 3
    assert batch_size(loaded, 0) == 1
