"""Networks of the user's own: read, registered as `file/NAME`, copied, and run from the copy."""

import itertools
import os
from pathlib import Path

import pytest
import torch

from cnnviz import models
from cnnviz.models.user_code import ModelReference, registration, source
from cnnviz.models.user_code.registration import from_text as from_file
from cnnviz.models.user_code.registration import is_named
from tests.models.weightless import output, weightless

SOURCE = '''
"""Networks of a user's own."""
from __future__ import annotations

from dataclasses import dataclass

from torch import nn

import helper_beside_it


@dataclass
class Settings:
    width: int = helper_beside_it.WIDTH


class Net(nn.Module):
    def __init__(self, num_classes=12):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, Settings().width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(Settings().width, num_classes)

    def forward(self, x):
        return self.fc(self.body(x))


def make(num_classes):
    return Net(num_classes)


def fixed():
    return Net(5)


def picky(depth):
    return Net(depth)


def wrong():
    return "not a module"


def fails():
    raise KeyError("first line\\nsecond line")


ready = Net()
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "helper_beside_it.py").write_text("WIDTH = 4\n", encoding="utf-8")
    return str(tmp_path / "nets.py")


def test_a_class_is_called_with_the_number_of_classes(file: str) -> None:
    spec = from_file(f"{file}:Net")
    assert (spec.title, spec.classes, spec.input_shape, spec.source) == ("Net", 12, (3, 224, 224), "yours")
    assert output(weightless(spec), (3, 16, 16)) == (2, 12)
    assert output(weightless(spec, classes=3), (3, 16, 16)) == (2, 3)


def test_a_function_without_a_default_gives_a_thousand_classes(file: str) -> None:
    assert output(weightless(from_file(f"{file}:make")), (3, 16, 16)) == (2, 1000)


def test_a_function_that_takes_no_number_of_classes_is_called_without(file: str) -> None:
    spec = from_file(f"{file}:fixed")
    assert output(weightless(spec), (3, 16, 16)) == (2, 5)
    with pytest.raises(ValueError, match="has no parameter 'num_classes'"):
        weightless(spec, classes=3)


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("Missing", r"There is no 'Missing' in .*nets\.py; it defines Settings, Net, make, fixed, picky"),
        ("ready", "'ready' in nets.py is of type Net, not a class or a function"),
    ],
)
def test_what_is_not_there_is_said_at_once(file: str, attribute: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        from_file(f"{file}:{attribute}")


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("picky", r"picky needs depth: name it as 'picky\(depth=…\)', or give --option depth=… on"),
        ("wrong", r"wrong gives a str, not a torch\.nn\.Module\.$"),
        ("fails", r"fails cannot be built: KeyError: 'first line.*second line' \(nets.py, line \d+\)$"),
    ],
)
def test_what_cannot_be_built_is_said_when_it_is(file: str, attribute: str, sentence: str) -> None:
    spec = from_file(f"{file}:{attribute}")
    with pytest.raises(ValueError, match=sentence):
        weightless(spec)


def test_a_missing_file_and_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file '.*nothing\.py'"):
        from_file(f"{tmp_path}/nothing.py:Net")
    with pytest.raises(ValueError, match=r"is not of the form path/to/file\.py:ClassOrFunction or package"):
        from_file("alexnet")


@pytest.mark.parametrize("line", ["import no_such_package", "raise SystemExit(3)", "def ("])
def test_a_file_that_does_not_run_is_one_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / "broken.py").write_text(line, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.py does not run: (ModuleNotFound|SystemExit|SyntaxError)"):
        from_file(f"{tmp_path}/broken.py:Net")


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        *(("a/b.py:Net", True), ("b.py:make", True), ("package.module:Net", True), ("alexnet", False)),
        *(("b.py", False), ("fresh:file/Net", False)),
    ],
)
def test_which_names_mean_a_file(name: str, is_file: bool) -> None:
    assert is_named(name) is is_file


OWN = """
import enum
from typing import Literal

from torch import nn

from parts import block


class Act(enum.Enum):
    RELU = "relu"
    TANH = "tanh"


class Net(nn.Module):
    def __init__(
        self, width: int = 4, bias: bool = True, drop: float = 0.1, act=Act.RELU,
        pool: Literal["max", "mean"] = "max", note="text", depths=(1, 2), num_classes=5,
    ):
        super().__init__()
        assert isinstance(act, Act)
        assert isinstance(depths, tuple)
        self.body = block(width * len(depths), bias)
        self.fc = nn.Linear(width * len(depths), num_classes)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))


class Needs(Net):
    def __init__(self, width: int, num_classes=5):
        super().__init__(width, num_classes=num_classes)


class Lazy(nn.Sequential):
    def __init__(self, num_classes=3):
        super().__init__(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(num_classes))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        features = x.flatten(1)
        return {"features": features, "logits": self.fc(features)}


class Second(Named):
    def forward(self, x):
        return x, super().forward(x)["logits"]


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.fc = nn.Embedding(256, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.words(x).mean((1, 2, 3)))


class Codes(Named):
    def forward(self, x):
        return self.fc(nn.functional.one_hot(x, 16).float().mean((1, 2, 3)))


class Maps(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3)


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 7, 3)

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(self.conv(x), 1).squeeze()


class Single(Squeezed):
    def forward(self, x):
        return super().forward(x[:1]).flatten()
"""
PARTS = """
from torch import nn


def block(width, bias):
    return nn.Conv2d(1, width, 3, bias=bias)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file and a module beside it, nothing of which is registered yet."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "net.py").write_text(OWN, encoding="utf-8")
    (folder / "parts.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.setenv(registration.VARIABLE, "")
    return folder


def test_what_the_environment_names_is_registered_under_file(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registration.VARIABLE, f"{own}/net.py:Net{os.pathsep}{own}/net.py:Maps")
    spec = models.get("file/Net")
    assert (spec.input_shape, spec.classes, spec.source, spec.family) == ((1, 32, 32), 5, "yours", "Yours")
    assert set(models.names()) >= {"file/Net", "file/Maps"}
    assert output(weightless(spec, classes=7), (1, 16, 16)) == (2, 7)


def test_arguments_are_options_that_a_page_can_bound(own: Path) -> None:
    kind = registration.add(f"{own}/net.py:Net").options
    assert kind().model_dump() == {
        "width": 4, "bias": True, "drop": 0.1, "act": "RELU", "pool": "max", "note": "text"
    }  # fmt: skip
    assert kind.parse({"width": "64", "bias": "false", "act": "TANH"}).changed()["act"] == "TANH"
    for wrong in (
        {"width": "65"},
        {"width": "-1"},
        {"note": "other"},
        {"act": "os"},
        {"drop": "2"},
        {"depths": "()"},
    ):
        with pytest.raises(ValueError, match=r"cannot be|no option"):
            kind.parse(wrong)


def test_an_enumeration_reaches_the_constructor_as_its_member(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Net")
    models.build(spec, options={"act": "TANH"})


def test_whoever_starts_the_program_gives_any_argument(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Net(width=200,note=mine,depths=(1,2,3))@1x16x16")
    assert spec.input_shape == (1, 16, 16)
    assert spec.options().model_dump()["note"] == "mine"
    assert models.build(spec).fc.in_features == 600  # type: ignore[union-attr]


def test_an_argument_without_default_is_asked_for(own: Path) -> None:
    with pytest.raises(ValueError, match=r"Needs needs width: name it as 'Needs\(width=…\)'"):
        registration.add(f"{own}/net.py:Needs")
    assert models.build(registration.add(f"{own}/net.py:Needs", {"width": "3"})).fc.in_features == 6  # type: ignore[union-attr]
    assert registration.arguments_of("file/Needs") == {"width": 3}


def test_two_files_with_one_name_are_told_apart(own: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "from torch import nn\ndef Net(): return nn.Flatten()\n", encoding="utf-8"
    )
    registration.add(f"{own}/net.py:Net")
    assert registration.add(f"{tmp_path}/other.py:Net").name == "file/other.Net"
    assert {"file/Net", "file/other.Net"} <= set(models.names())


def test_lazily_shaped_layers_get_their_shapes(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Lazy@1x10x10")
    assert spec.classes == 3
    model = models.build(spec)
    assert sum(p.numel() for p in model.parameters()) == 4 * 9 + 4 + 8 + 256 * 3 + 3


def test_a_named_output_is_chosen_and_said(own: Path) -> None:
    import torch

    spec = registration.add(f"{own}/net.py:Named@1x4x4")
    assert "'logits' is taken" in spec.notes[0]
    model = models.build(spec)
    assert type(model).__name__ == "Named"
    assert model(torch.zeros(2, 1, 4, 4)).shape == (2, 3)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
def test_torchscript_of_several_outputs_is_refused(own: Path) -> None:
    (own / "scripted.py").write_text(
        "import torch\n\nfrom net import Named\n\n\ndef Scripted():\n    return torch.jit.script(Named())\n",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="Scripted is TorchScript with several outputs"):
        registration.add(f"{own}/scripted.py:Scripted@1x4x4")


def test_of_a_tuple_the_list_of_numbers_is_taken_before_an_image(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Second@1x4x4")
    assert spec.notes == ("Second gives 2 values: the second is taken for its logits.",)
    assert spec.classes == 3


def test_a_word_for_a_number_is_refused_before_the_constructor_meets_it(own: Path) -> None:
    with pytest.raises(ValueError, match=r"^'width' is a whole number, as 4, not 'wide'\.$"):
        registration.add(f"{own}/net.py:Net(width=wide)")


def test_a_choice_that_the_annotation_does_not_name_is_refused(own: Path) -> None:
    with pytest.raises(ValueError, match=r"^'pool' cannot be 'sum'; it can be max or mean\.$"):
        registration.add(f"{own}/net.py:Net", {"pool": "sum"})
    assert registration.add(f"{own}/net.py:Net", {"pool": "mean"}).options().model_dump()["pool"] == "mean"


def test_what_gives_maps_is_no_classifier(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Maps")
    assert registration.NOT_A_CLASSIFIER in spec.tags
    assert "gives 4×30×30 for an image" in spec.notes[0]


def test_a_batch_dimension_that_a_single_image_loses_is_put_back(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Squeezed")
    assert registration.NOT_A_CLASSIFIER not in spec.tags
    assert spec.classes == 7
    assert "drops the batch dimension of a single image" in spec.notes[0]
    model = spec.builder(7, spec.input_shape, spec.options())
    assert [tuple(model(torch.zeros(count, *spec.input_shape)).shape) for count in (1, 2)] == [(1, 7), (2, 7)]
    assert type(model).__name__ == "Squeezed"


def test_a_network_of_one_image_at_a_time_is_no_classifier(own: Path) -> None:
    spec = registration.add(f"{own}/net.py:Single")
    assert registration.NOT_A_CLASSIFIER in spec.tags


@pytest.mark.parametrize("name", ["Tokens", "Codes"])
def test_what_reads_indices_is_refused_in_our_words(own: Path, name: str) -> None:
    from cnnviz.analysis import analyze

    with pytest.raises(
        ValueError, match=rf"^{name} takes its input for indices.*\(net.py, line \d+\)"
    ) as error:
        registration.add(f"{own}/net.py:{name}")
    assert "scalar types" not in str(error.value)
    with pytest.raises(ValueError, match="takes its input for indices"):
        analyze(registration.from_text(f"{own}/net.py:{name}"))


def test_an_analysis_finds_the_input_of_lazily_shaped_layers(own: Path) -> None:
    from cnnviz.analysis import analyze

    (own / "lazy.py").write_text(
        "from torch import nn\n\n\nclass Gray(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(5))\n",
        encoding="utf-8",
    )
    name = f"{own}/lazy.py:Gray"
    assert analyze(registration.from_text(name)).input_shape == (1, 32, 32)
    assert analyze(registration.from_text(name), 10).input_shape == (1, 10, 10)
    given = analyze(registration.from_text(f"{name}@1x8x8"))
    assert (given.input_shape, given.total_params) == ((1, 8, 8), 20 + 72 * 5 + 5)


def test_an_edited_file_is_read_again(own: Path) -> None:
    before = registration.add(f"{own}/net.py:Net")
    (own / "parts.py").write_text(PARTS.replace("(1, width, 3", "(3, width, 5"), encoding="utf-8")
    after = models.get("file/Net")
    assert after.edition != before.edition
    assert after.input_shape[0] == 3


def test_a_copy_runs_as_it_was_after_the_file_was_edited(own: Path) -> None:
    registration.add(f"{own}/net.py:Net", {"note": "mine"})
    digest = registration.save_copy("file/Net")
    assert sorted(p.name for p in (source.folder() / digest).iterdir()) == [
        "manifest.json",
        "net.py",
        "parts.py",
    ]
    (own / "parts.py").write_text(PARTS.replace("3, bias", "5, bias"), encoding="utf-8")
    arguments = {**registration.arguments_of("file/Net"), "width": 7}
    model = models.build(registration.from_copy("file/Net", digest, arguments), options=arguments)
    assert model.body.weight.shape == (14, 1, 3, 3)  # type: ignore[union-attr]
    assert models.build("file/Net").body.weight.shape == (8, 1, 5, 5)  # type: ignore[union-attr]


def test_a_copy_that_was_changed_is_not_run(own: Path) -> None:
    registration.add(f"{own}/net.py:Lazy@1x10x10")
    digest = registration.save_copy("file/Lazy")
    os.environ[registration.VARIABLE] = ""
    (source.folder() / digest / "parts.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(ValueError, match="was changed, so it is not run"):
        registration.from_copy("file/Lazy", digest, {})
    with pytest.raises(ValueError, match="not on this machine"):
        registration.from_copy("file/Lazy", "0" * 64, {})


def test_a_name_nobody_gave_says_how_to_give_it(own: Path) -> None:
    with pytest.raises(models.UnknownModelError, match=r"--model net.py:Net, or with CNNVIZ_MODELS"):
        models.get("file/Net")


def test_a_name_that_gives_nothing_says_why(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registration.VARIABLE, f"{own}/net.py:Gone")
    assert models.names()
    with pytest.raises(models.UnknownModelError, match=r"There is no 'Gone' in net.py; it defines Act, Net"):
        models.get("file/Gone")


def test_too_many_modules_are_refused(own: Path) -> None:
    for number in range(source.MAX_FILES):
        (own / f"m{number}.py").write_text(f"import m{number + 1}\n", encoding="utf-8")
    (own / "net.py").write_text("import m0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"net.py and the local modules that it imports are 65 files"):
        source.from_path(own / "net.py", "Net")


def test_too_many_bytes_are_refused(own: Path) -> None:
    (own / "parts.py").write_text("#" * source.MAX_BYTES, encoding="utf-8")
    with pytest.raises(ValueError, match=r"2 files with 4\.0 MB; at most 64 files with 4 MB"):
        source.from_path(own / "net.py", "Net")


def test_a_module_of_a_package_with_relative_imports(own: Path) -> None:
    package = own / "mynets"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "deep" / "__init__.py").write_text("", encoding="utf-8")
    (package / "deep" / "one.py").write_text(
        "from torch import nn\nfrom .. import width\n"
        "def make(num_classes=2):\n    return nn.Sequential(nn.Flatten(), nn.Linear(width.W, num_classes))\n",
        encoding="utf-8",
    )
    (package / "width.py").write_text("W = 16\n", encoding="utf-8")
    spec = registration.add(f"{package}/deep/one.py:make")
    assert spec.input_shape == (1, 4, 4)
    kept = source.load_copy(registration.save_copy("file/make"), "file/make")
    assert [path for path, _ in kept.files] == [
        "mynets/__init__.py", "mynets/deep/__init__.py", "mynets/deep/one.py", "mynets/width.py"
    ]  # fmt: skip


def test_local_modules_do_not_stay_in_the_way_of_others(own: Path) -> None:
    import sys

    (own / "datasets.py").write_text("WIDTH = 3\n", encoding="utf-8")
    (own / "net.py").write_text(
        "import datasets\nfrom torch import nn\n"
        "def make():\n    import datasets\n    return nn.Conv2d(1, datasets.WIDTH, 3)\n",
        encoding="utf-8",
    )
    before = sys.modules.get("datasets")
    models.build(registration.add(f"{own}/net.py:make"))
    assert sys.modules.get("datasets") is before
    assert "net" not in sys.modules


def test_an_installed_package_is_named_by_its_module() -> None:
    spec = registration.from_text("torchvision.models.squeezenet:squeezenet1_1")
    assert spec.title == "squeezenet1_1"


@pytest.mark.parametrize(
    "text", ["net.py:Net(", "net.py:Net(1)", "net.py:Net(a=f())", "net.py:", ":Net", "a.py:B@"]
)
def test_names_that_are_none_are_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"form|written as|plain value"):
        ModelReference.read(text)


@pytest.mark.parametrize("separator", [os.pathsep])
def test_names_survive_the_environment(separator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["/a b/net.py:Net", "/a/other.py:make(width=8,act='x')@1x28x28", "package.module:Net"]
    for some in itertools.permutations(names):
        monkeypatch.setenv(registration.VARIABLE, separator.join(some))
        assert [one.write() for one in registration.named()] == list(some)
