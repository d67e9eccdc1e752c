"""Weights files that a visitor hands in: read as any untrusted file, kept for this visitor alone."""

import pickle
from pathlib import Path

import pytest
import streamlit as st
import torch
from safetensors.torch import save_file

from cnnviz import models
from cnnviz.training import Recipe, checkpoint
from cnnviz.training.checkpoint import ModelSignature
from cnnviz.training.data.transforms import Statistics
from cnnviz.training.optimizer import Plateau
from cnnviz.ui.shared.inspection import model_input


def weights(folder: Path, model: str) -> bytes:
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in models.build(model).state_dict().items()}, path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def _new_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})


def test_a_file_is_read_and_known_by_its_reference(tmp_path: Path) -> None:
    data = weights(tmp_path, "lenet5")
    reference = model_input.add_weights("mine.safetensors", data, "lenet5")
    assert reference == model_input.add_weights("mine.safetensors", data, "lenet5")
    loaded = model_input.loaded(reference)
    assert loaded.spec.name == "lenet5"
    assert model_input.names() == {reference: "mine.safetensors · handed in"}
    st.session_state.clear()
    with pytest.raises(ValueError, match="known only to who did"):
        model_input.loaded(reference)


def test_the_oldest_goes_where_there_are_many(tmp_path: Path) -> None:
    data = weights(tmp_path, "lenet5")
    references = [model_input.add_weights("first", data, "lenet5")]
    references += [
        model_input.add_weights("x", weights(tmp_path, "lenet5"), "lenet5")
        for _ in range(model_input.MAX_UPLOADED)
    ]
    assert len(model_input.names()) == model_input.MAX_UPLOADED
    assert references[0] not in model_input.names()


@pytest.mark.parametrize("data", [b"", b"nonsense", pickle.dumps({"layer": 1})])
def test_what_is_no_weights_file_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"'bad.pt'"):
        model_input.add_weights("bad.pt", data, "lenet5")


def test_a_file_that_names_a_path_as_its_data_makes_nobody_look_there(tmp_path: Path) -> None:
    signature = ModelSignature(
        ("a", "b"), (28, 28), Statistics.of(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    )
    position = checkpoint.Position(
        step=1,
        recipe=Recipe(dataset="/etc").write(),
        plateau=Plateau(1, 0.1),
        tally=(),
        threads=1,
        fingerprint="",
    )
    model = models.build("lenet5", 2)
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, model, torch.optim.SGD(model.parameters()), position, signature)
    assert (
        model_input.loaded(model_input.add_weights("last.safetensors", path.read_bytes(), None)).dataset == ""
    )
