"""Headers of safetensors files that strangers wrote: bounded before they are parsed, parsed in a child."""

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from cnnviz.formats import headers
from cnnviz.formats.headers import (
    MAX_HEADER,
    MAX_TENSORS,
    HeaderError,
    check_header,
    header_length,
    header_problem,
)

ENTRY = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}


def written(path: Path, header: bytes) -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def never(*_: object, **__: object) -> Any:
    raise AssertionError("a header that is too long was parsed")


def test_a_header_that_is_too_long_is_refused_before_anything_parses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1) + b'{"')
        os.truncate(file.fileno(), MAX_HEADER + 100)
    monkeypatch.setattr(subprocess, "run", never)
    with pytest.raises(HeaderError, match=r"has a header of 25 MB, and at most 24 MiB are read"):
        check_header(path)


def test_a_header_longer_than_its_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(struct.pack("<Q", 100) + b"{}")
    with pytest.raises(HeaderError, match="does not fit into the file"):
        header_length(path)
    path.write_bytes(b"abc")
    with pytest.raises(HeaderError, match="too short"):
        header_length(path)


@pytest.mark.parametrize("spelling", ["data_offsets", "data\\u005foffsets"], ids=["plain", "escaped"])
def test_too_many_tensors_are_refused_however_they_are_spelled(tmp_path: Path, spelling: str) -> None:
    entry = f'{{"dtype":"U8","shape":[0],"{spelling}":[0,0]}}'
    header = "{" + ",".join(f'"{i}":{entry}' for i in range(MAX_TENSORS + 1)) + "}"
    with pytest.raises(HeaderError, match="names 10,001 tensors, and at most 10,000 are read"):
        check_header(written(tmp_path / "many", header.encode()))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"{" + b"," * 500_001, "holds far more than names and shapes"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is not JSON"),
        (b"not JSON", "is not JSON"),
        (b"[1, 2]", "no JSON object"),
        (b'{"a": 3}', "'a' does not describe a tensor"),
        (json.dumps({"a": {**ENTRY, "shape": ["x"]}}).encode(), "'a' does not describe a tensor"),
        (json.dumps({"a": {**ENTRY, "shape": [1] * 17}}).encode(), "'a' does not describe a tensor"),
        (b'{"__metadata__": {"a": 3}}', "its metadata are not text"),
        (json.dumps({"a": ENTRY, "__metadata__": {"b": "c"}}).encode(), ""),
        (b"{}", ""),
    ],
)
def test_what_is_wrong_with_a_header_is_said(tmp_path: Path, header: bytes, problem: str) -> None:
    result = header_problem(header)
    assert (problem in result) if problem else result == ""
    if result:
        with pytest.raises(HeaderError) as refused:
            check_header(written(tmp_path / "a", header))
        assert str(refused.value) == result
    else:
        check_header(written(tmp_path / "a", header))


def test_a_header_that_takes_more_memory_than_the_child_may_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One emoji makes Python keep four bytes for every character of the text.
    header = '{"😀": "'.encode() + b" " * (16 << 20) + b'"}'
    path = written(tmp_path / "wide", header)
    small = tmp_path / "small.py"
    source = Path(headers.__file__).read_text(encoding="utf-8")
    small.write_text(source.replace("CHILD_MEMORY = 144 << 20", "CHILD_MEMORY = 48 << 20"), encoding="utf-8")
    monkeypatch.setattr(headers, "__file__", str(small))
    with pytest.raises(HeaderError, match="more memory than one of its length should"):
        check_header(path)


def test_a_reader_that_takes_too_long_or_dies_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a", b"{}")
    with pytest.raises(HeaderError, match="more than 0 s to read"):
        check_header(path, seconds=0)
    (tmp_path / "dies.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.setattr(headers, "__file__", str(tmp_path / "dies.py"))
    with pytest.raises(HeaderError, match="made its reader fail"):
        check_header(path)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=40).filter(lambda name: name != "__metadata__"),
        st.lists(st.integers(0, 3), max_size=5),
        max_size=6,
    ),
    st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=3),
)
def test_every_header_that_safetensors_writes_fits(
    shapes: dict[str, list[int]], details: dict[str, str]
) -> None:
    data = save({name: torch.zeros(shape) for name, shape in shapes.items()}, details or None)
    (length,) = struct.unpack("<Q", data[:8])
    assert header_problem(data[8 : 8 + length]) == ""


def test_a_file_of_ours_passes_the_check(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(3)}, path, {"b": "c"})
    check_header(path)
    assert header_length(path) == path.stat().st_size - 8 - 12
