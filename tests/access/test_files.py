"""Whose a saved model, a data set and an upload is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz.access import NOBODY, NotAllowedError, Principal, Role, acting
from cnnviz.datasets import library as data_library
from cnnviz.models import library
from cnnviz.models.layers import Flatten, LayerList, Linear

ADA, BOB = Principal("class ada", "Ada", Role.MEMBER), Principal("class bob", "Bob", Role.MEMBER)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path))
    return tmp_path


def layers(name: str = "net") -> LayerList:
    return LayerList(name=name, input=(1, 8, 8), classes=2, layers=(Flatten(), Linear()))


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for label in ("cat", "dog"):
            for number in range(4):
                picture = io.BytesIO()
                pixels = np.full((8, 8, 3), 40 * number + (9 if label == "cat" else 0), np.uint8)
                Image.fromarray(pixels).save(picture, "PNG")
                file.writestr(f"{label}/{number}.png", picture.getvalue())
    return packed.getvalue()


def test_a_saved_model_is_its_owners() -> None:
    with acting(ADA):
        name = library.save(layers())
    for who in (BOB, NOBODY):
        with acting(who), pytest.raises(NotAllowedError):
            library.save(layers(), replace=True)
        with acting(who), pytest.raises(NotAllowedError):
            library.delete(name)
    assert name in library.saved_specs()
    with acting(ADA):
        library.save(layers(), replace=True)
        library.delete(name)
    with acting(BOB):  # the name is free again, and nobody's
        library.save(layers())
        library.delete(name)


def test_a_model_that_was_there_before_owners_is_not_a_students(home: Path) -> None:
    name = library.save(layers())
    assert not list(home.rglob("*.owner"))  # alone there is nothing to see of it
    with acting(ADA), pytest.raises(NotAllowedError, match="somebody else's"):
        library.delete(name)
    library.delete(name)


def test_uploads_are_their_owners() -> None:
    with acting(NOBODY), pytest.raises(NotAllowedError):
        data_library.save_upload("pets.zip", archive())
    with acting(ADA):
        name = data_library.save_upload("pets.zip", archive()).name
    with acting(BOB):
        with pytest.raises(NotAllowedError, match="somebody else's"):
            data_library.forget(name)
        second = data_library.save_upload("pets.zip", archive()).name  # a name of its own, not Ada's
        assert second != name
        data_library.forget(second)
    with acting(ADA):
        data_library.forget(name)
    assert data_library.user_datasets() == {}
