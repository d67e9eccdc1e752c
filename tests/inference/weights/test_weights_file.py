"""Weights files: what is read, what is refused and why, and what does not fit."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cnnviz import models
from cnnviz.formats.headers import MAX_TENSORS
from cnnviz.inference import InferenceError
from cnnviz.inference.weights import state_dict_reader, weights_file
from cnnviz.inference.weights.bundled import read_card
from cnnviz.inference.weights.loaders import from_file
from cnnviz.inference.weights.weights_file import load_state_dict, read_weights, weights_kind
from cnnviz.models import ModelSpec
from cnnviz.training import checkpoint


def lenet(classes: int = 10) -> nn.Module:
    torch.manual_seed(5)
    return models.build("lenet5", classes)


def same(model: nn.Module, other: nn.Module) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")


def scripted(path: Path) -> None:
    zipped(path, "m/data.pkl", "m/constants.pkl", "m/code/__torch__.py", "m/version")


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "a Python pickle, which can run code"),
    "script": (scripted, "TorchScript, which holds code"),
    "pt2": (lambda p: zipped(p, "m/archive_format", "m/models/model.json"), "an exported program"),
    "keras": (lambda p: zipped(p, "config.json", "model.weights.h5"), "a Keras model"),
    "npz": (lambda p: zipped(p, "a.npy", "b.npy"), "a file of NumPy arrays"),
    "zip": (lambda p: zipped(p, "readme.txt"), "a zip archive without a state dict"),
    "cut": (lambda p: p.write_bytes(b"PK\x03\x04 cut off"), "a damaged zip archive"),
    "hdf5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "an HDF5 file, as Keras writes"),
    "onnx": (lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch" + bytes(90)), "an ONNX graph"),
    "empty": (lambda p: p.write_bytes(b""), "an empty file"),
    "text": (lambda p: p.write_bytes(b"weights"), "a text file"),
    "noise": (lambda p: p.write_bytes(bytes(range(128, 228))), "of no kind that is known here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_weights_is_refused_by_its_content(tmp_path: Path, case: str) -> None:
    write, reason = REFUSED[case]
    path = tmp_path / "model.pt"
    write(path)
    with pytest.raises(InferenceError) as refused:
        read_weights(path)
    message = str(refused.value)
    assert message.startswith(f"'model.pt' is {reason}")
    assert message.endswith("what is read is safetensors, or a PyTorch state dict "
                            "(`torch.save(model.state_dict(), …)`).")  # fmt: skip


def test_a_state_dict_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    model, path = lenet(), tmp_path / "weights.bin"
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, path)
    loaded = from_file(path, "lenet5")
    assert same(loaded.model, model)
    assert (loaded.source, len(loaded.classes)) == ("weights.bin", 10)
    assert loaded.notes[0] == "The weights lay under 'state_dict' in the file."


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("wrapper", ["", "model"])
def test_every_form_of_a_state_dict_is_read(tmp_path: Path, old: bool, wrapper: str) -> None:
    model, path, plain = lenet(), tmp_path / "weights.bin", tmp_path / "plain"
    state: Any = model.state_dict()
    torch.save({wrapper: state} if wrapper else state, path, _use_new_zipfile_serialization=not old)
    assert weights_kind(path, "x") == "state dict"
    assert state_dict_reader.read_or_error(str(path), str(plain)) == {
        "key": wrapper,
        "count": 10,
        "others": [],
    }
    tensors = read_weights(plain).tensors
    assert all(torch.equal(tensors[name], value) for name, value in state.items())


class Hostile:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return eval, ("1 + 1",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": Hostile()}, "It holds more than tensors: it asks for "),
        ([1, 2], "It holds a list, not a state dict"),
        ({"epoch": 4}, "It holds no tensors"),
    ],
    ids=["code", "list", "no tensors"],
)
def test_what_a_torch_file_holds_beside_tensors_is_refused(
    tmp_path: Path, content: object, reason: str
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    message = state_dict_reader.read_or_error(str(path), str(tmp_path / "plain"))
    assert message["refused"].startswith(reason)
    assert not (tmp_path / "plain").exists()


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(lenet(), path)
    with pytest.raises(InferenceError, match="cannot be read: It holds more than tensors: it asks for "):
        read_weights(path)


def test_a_file_that_unpacks_to_far_more_is_stopped(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(1).expand(1 << 29)}, bomb)
    with pytest.raises(InferenceError, match="more memory than a file of its size should"):
        read_weights(bomb)


def test_what_takes_too_long_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "slow.pt"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(InferenceError, match="took more than 0 s"):
        read_weights(path, seconds=0.001)


def test_damaged_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(30)}, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InferenceError, match=r"'a\.safetensors' is damaged safetensors"):
        read_weights(path)


def test_safetensors_of_too_many_tensors_are_never_opened_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    header = ("{" + ",".join(f'"{i}":{entry}' for i in range(10_001)) + "}").encode()
    path = tmp_path / "many.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)

    def never(*_: object) -> Any:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(weights_file, "safe_open", never)
    with pytest.raises(
        InferenceError, match=r"^'many\.safetensors' names 10,001 tensors, and at most 10,000"
    ):
        from_file(path, "lenet5")


def test_a_safetensors_header_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(struct.pack("<Q", 89_000_000) + b'{"')
    os.truncate(path, 89_000_100)
    with pytest.raises(InferenceError, match="has a header of 89 MB, and at most 24 MiB are read"):
        read_weights(path)
    with pytest.raises(InferenceError, match="has a header of 89 MB"):
        read_card(path)
    with pytest.raises(ValueError, match="is no checkpoint: it has a header of 89 MB"):
        checkpoint.read(path)


def test_a_state_dict_of_too_many_tensors_does_not_leave_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_dict_reader.MAX_TENSORS == MAX_TENSORS
    monkeypatch.setattr(state_dict_reader, "MAX_TENSORS", 3)
    torch.save({f"{i}": torch.zeros(1) for i in range(4)}, tmp_path / "many.pt")
    message = state_dict_reader.read_or_error(str(tmp_path / "many.pt"), str(tmp_path / "plain"))
    assert message == {"refused": "It holds 4 tensors, and at most 3 are read"}
    assert not (tmp_path / "plain").exists()


def test_a_zip_with_a_directory_that_no_state_dict_has_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.pt"
    torch.save({"a": torch.zeros(3)}, path)
    assert weights_kind(path, "many.pt") == "state dict"
    monkeypatch.setattr(weights_file, "MAX_DIRECTORY", 50)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(
        InferenceError, match="a zip archive with a directory of 0 MB, which no state dict has"
    ):
        read_weights(path)


def test_safetensors_of_anybody_need_a_model(tmp_path: Path) -> None:
    model, path = lenet(7), tmp_path / "a.safetensors"
    save_file({f"module._orig_mod.{name}": value.half() for name, value in model.state_dict().items()}, path)
    with pytest.raises(InferenceError, match="name the model"):
        from_file(path)
    loaded = from_file(path, "lenet5")
    assert loaded.classes == tuple("0123456")
    assert same(loaded.model, model.half().float())
    assert loaded.notes[0] == "The prefix 'module._orig_mod.' was taken off every name."
    assert "pixels go in from 0 to 1" in loaded.notes[-1]
    named = from_file(path, "lenet5", classes=("a", "b", "c", "d", "e", "f", "g"))
    assert named.classes == tuple("abcdefg")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda s: s.pop("conv2.bias"),
            "LeNet-5: conv2.bias is missing. The saved network differs in these layers: take the model, and",
        ),
        (
            lambda s: s.update({"conv3.weight": torch.zeros(1)}),
            "LeNet-5: the model has no conv3.weight. All of the model's own are there: take the model that",
        ),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(6, 3, 5, 5)}),
            "LeNet-5: conv1.weight is 6×3×5×5 where the model has 6×1×5×5.",
        ),
        (lambda s: s.clear(), "LeNet-5: conv1.weight, conv1.bias, conv2.weight and 7 more are missing."),
    ],
    ids=["missing", "unexpected", "shape", "all"],
)
def test_what_does_not_fit_says_which_layers_differ(change: Callable[[Any], Any], sentence: str) -> None:
    model = lenet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = dict(before)
    change(state)
    with pytest.raises(InferenceError) as refused:
        load_state_dict(model, state, "LeNet-5")
    assert str(refused.value).startswith(f"These weights do not fit {sentence}")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_weights_that_are_no_numbers_are_told_of() -> None:
    model = lenet()
    state = dict(model.state_dict()) | {"fc3.bias": torch.full((10,), float("nan"))}
    assert "fc3.bias" in load_state_dict(model, state, "LeNet-5")[0]


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (lambda v: v > 0, "but bool: conv1.bias, conv1.weight, conv2.bias and 7 more"),
        (lambda v: (100 * v).to(torch.int8), "but int8: "),
        (lambda v: (100 * v).long(), "but int64: "),
        (lambda v: (100 * v).to(torch.uint16), "but uint16: "),
        (lambda v: v.to(torch.complex64), "but complex64: "),
        (lambda v: v.to(torch.float8_e4m3fn), "but float8_e4m3fn: "),
        (lambda v: v * 1e30, "larger than training leaves them (beyond 1e+08): conv1.bias"),
    ],
    ids=["bool", "int8", "int64", "uint16", "complex", "8 bits", "×1e30"],
)
def test_weights_that_no_training_leaves_are_noted(
    tmp_path: Path, convert: Callable[[Any], Any], words: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: convert(value) for name, value in lenet().state_dict().items()}, path)
    loaded = from_file(path, "lenet5")
    (note,) = (note for note in loaded.notes if note.startswith("Weights are"))
    assert words in note
    assert ("imaginary" in note) == ("complex" in words)
    assert all(value.dtype == torch.float32 for value in loaded.model.state_dict().values())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_usual_kinds_of_numbers_need_no_note(kind: torch.dtype) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    model[1].running_var.fill_(2e4)  # type: ignore[operator]
    state = {name: value.to(kind) for name, value in model.state_dict().items()}
    assert load_state_dict(model, state, "x") == ()


def test_an_old_batch_norm_without_its_counter_fits() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3))
    state = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    assert load_state_dict(model, state, "x") == ()


def test_what_a_hostile_file_says_of_itself_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for form, details in (
        ("cnnviz-checkpoint/1", {}),
        ("cnnviz-checkpoint/1", {"position": "{}"}),
        ("cnnviz-checkpoint/1", {"position": "[]", "interface": "3"}),
        ("cnnviz-weights/1", {}),
        ("cnnviz-weights/1", {"card": "{}"}),
    ):
        save_file({"a": torch.zeros(1)}, path, {"format": form, **details})
        with pytest.raises(InferenceError) as refused:
            from_file(path)
        assert "\n" not in str(refused.value)


def test_a_huge_model_that_a_file_asks_for_is_never_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnviz.inference.weights import loaded_model

    path = tmp_path / "a.safetensors"
    save_file({"conv1.weight": torch.zeros(1)}, path)

    def never(spec: ModelSpec, *_: object) -> nn.Module:
        raise AssertionError(f"{spec.name} was built")

    monkeypatch.setattr(loaded_model, "build_model", never)
    with pytest.raises(InferenceError, match="do not fit VGG-16"):
        from_file(path, "torchvision/vgg16")


def test_a_file_may_be_called_otherwise_than_on_disk(tmp_path: Path) -> None:
    (tmp_path / "tmp123").write_bytes(io.BytesIO(b"hello").getvalue())
    with pytest.raises(InferenceError, match=r"^'mine\.pt' is a text file"):
        read_weights(tmp_path / "tmp123", "mine.pt")
