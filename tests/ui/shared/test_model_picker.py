"""The list of models: every one, findable by name, families together."""

from itertools import groupby

from cnnviz import models
from cnnviz.models import library
from cnnviz.ui.shared.model_picker import by_family, model_label


def test_every_model_is_there_once_with_a_label_of_its_own() -> None:
    listed = by_family()
    assert set(listed) == set(models.names())
    labels = [model_label(spec) for spec in listed.values()]
    assert len(set(labels)) == len(labels)


def test_families_stand_together_the_oldest_first() -> None:
    runs = [family for family, _ in groupby(by_family().values(), key=lambda spec: spec.family)]
    assert len(runs) == len(set(runs))
    assert runs[:2] == ["LeNet", "AlexNet"]


def test_labels_tell_family_and_size() -> None:
    assert model_label(models.get("small-alexnet")) == "AlexNet › SmallAlexNet · 12.4 M"
    assert model_label(models.get("lenet5")) == "LeNet-5 · 61.7 k"


def test_own_models_come_first() -> None:
    layers = models.layer_list("lenet5")
    assert layers is not None
    name = library.save(layers.model_copy(update={"name": "Tiny"}))
    assert next(iter(by_family())) == name
    assert model_label(by_family()[name]) == "Yours › Tiny"
