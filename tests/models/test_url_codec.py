"""A layer list in a link: it comes back the same, and nothing handed in can do harm or pass in silence."""

import base64
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.models import url_codec
from cnnviz.models.layers import Flatten, LayerList, Linear
from tests.models.layer_lists import documents

LIST = LayerList(input=(1, 8, 8), classes=10, layers=(Flatten(), Linear()))


@given(documents)
def test_what_goes_in_comes_out(document: LayerList) -> None:
    text = url_codec.encode(document)
    assert set(text) <= {*string.ascii_letters, *string.digits, "-", "_"}
    assert url_codec.decode(text) == document


@given(st.text(max_size=200))
def test_any_other_text_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as raised:
        url_codec.decode(text)
    assert "\n" not in str(raised.value)


@given(documents, st.data())
def test_a_link_cut_short_is_refused(document: LayerList, data: st.DataObject) -> None:
    text = url_codec.encode(document)
    with pytest.raises(ValueError, match="link"):
        url_codec.decode(text[: data.draw(st.integers(0, len(text) - 2))])


def packed(document: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(document)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (packed(b"x" * (url_codec.MAX_BYTES + 1)), "too large"),
        ("A" * (url_codec.MAX_TEXT + 1), "at most 48,000 characters"),
        (packed(b"[1"), "not JSON"),
        (packed(b'{"input": [1, 8, 8], "layers": [{"kind": "lstm"}]}'), "no kind 'lstm'"),
        (packed(b"\xff\xfe"), "not JSON"),
    ],
)
def test_each_wrong_link_is_told_apart(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        url_codec.decode(text)


def test_a_list_too_long_for_a_link_is_said() -> None:
    import random

    letters = random.Random(0)
    layers = tuple(
        Flatten(name="a" + "".join(letters.choices(string.ascii_letters + string.digits, k=39)))
        for _ in range(500)
    )
    document = LayerList(input=(1, 8, 8), layers=layers)
    if len(packed(document.write().encode())) <= url_codec.MAX_TEXT:
        assert url_codec.decode(url_codec.encode(document)) == document
    else:
        with pytest.raises(ValueError, match="too long"):
            url_codec.encode(document)


def test_an_upload_is_bounded_and_read() -> None:
    assert url_codec.read_upload(LIST.write().encode()) == LIST
    with pytest.raises(ValueError, match="at most 1,000,000 bytes"):
        url_codec.read_upload(b" " * (url_codec.MAX_BYTES + 1))
    with pytest.raises(ValueError, match="not JSON"):
        url_codec.read_upload(b"\x89PNG")
