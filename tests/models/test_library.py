"""The user's own layer lists: kept as files, found by the registry, and never in the way."""

import pytest

import cnnviz.models
from cnnviz.models import library
from cnnviz.models.layers import Flatten, LayerList, Linear
from tests.models.weightless import output, weightless


def small(name: str = "My Net", classes: int = 10) -> LayerList:
    return LayerList(name=name, input=(1, 8, 8), classes=classes, layers=(Flatten(), Linear()))


def test_a_saved_list_is_a_model_like_any_other() -> None:
    assert library.save(small()) == "mine/my-net"
    spec = cnnviz.models.get("mine/my-net")
    assert (spec.title, spec.source, spec.input_shape) == ("My Net", "yours", (1, 8, 8))
    assert output(weightless(spec, classes=3, input_size=5), (1, 5, 5)) == (2, 3)
    assert cnnviz.models.layer_list("mine/my-net") == small()


def test_names_are_unique_unless_one_is_to_be_replaced() -> None:
    library.save(small("my net"))
    with pytest.raises(FileExistsError, match="You have a model called 'my-net' already"):
        library.save(small("My  Net.", classes=4))
    assert cnnviz.models.get("mine/my-net").classes == 10
    library.save(small("My Net", classes=4), replace=True)
    assert cnnviz.models.get("mine/my-net").classes == 4


def test_a_list_that_cannot_be_built_is_not_kept() -> None:
    with pytest.raises(ValueError, match="The list is empty"):
        library.save(LayerList(input=(1, 8, 8)))
    assert not library.folder().exists()


def test_deleting_forgets_it_and_nothing_else() -> None:
    library.save(small())
    library.save(small("other"))
    library.delete("mine/my-net")
    assert set(library.saved_specs()) == {"mine/other"}
    for name in ("mine/my-net", "mine/../../secret", "mine/", "alexnet"):
        with pytest.raises(ValueError, match="You have no model called"):
            library.delete(name)


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("broken.json", "{", "not JSON"),
        ("other.json", '{"input": [3, 8, 8], "layers": [{"kind": "exec"}]}', "there is no kind 'exec'"),
        ("Capital Letters.json", small().write(), "rename it"),
        ("long.json", " " * 1_000_001, "at most 1,000 kB"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_of_and_left_out(file: str, text: str, reason: str) -> None:
    library.save(small())
    (library.folder() / file).write_text(text, encoding="utf-8")
    assert set(library.saved_specs()) == {"mine/my-net"}
    (problem,) = cnnviz.models.problems()
    assert problem.startswith(f"Your saved model '{file}' is left out: ")
    assert reason in problem


def test_a_folder_named_like_a_model_is_told_of_too() -> None:
    (library.folder() / "folder.json").mkdir(parents=True)
    assert not library.saved_specs()
    assert len(cnnviz.models.problems()) == 1


def test_a_change_on_disk_is_seen() -> None:
    library.save(small())
    assert cnnviz.models.get("mine/my-net").classes == 10
    path = library.folder() / "my-net.json"
    path.write_text(small(classes=7).write(), encoding="utf-8")
    assert cnnviz.models.get("mine/my-net").classes == 7
