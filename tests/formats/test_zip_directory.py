"""A zip's directory: its length is known before anything reads it."""

import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.formats.headers import END, END64, LOCATOR64, directory_bytes


def zipped(names: list[str], comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
        archive.comment = comment
    return file.getvalue()


def true_length(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        end = data.rfind(END, archive.start_dir)
        return end - archive.start_dir


@given(st.lists(st.text("abcé/", min_size=1, max_size=30), max_size=20, unique=True), st.binary(max_size=90))
def test_the_length_of_a_directory_is_what_lies_between_its_start_and_its_end(
    names: list[str], comment: bytes
) -> None:
    data = zipped(names, comment.replace(END, b""))
    file = io.BytesIO(data)
    file.seek(5)
    assert directory_bytes(file) == true_length(data)
    assert file.tell() == 5


def test_the_record_of_64_bits_is_read(tmp_path: Path) -> None:
    data = bytearray(zipped(["a", "b"]))
    end = data.rfind(END)
    record = struct.pack("<4sQ2H2L4Q", END64, 44, 45, 45, 0, 0, 2, 2, true_length(bytes(data)), 0)
    locator = struct.pack("<4sLQL", LOCATOR64, 0, end, 1)
    ending = bytearray(data[end:])
    ending[12:16] = b"\xff\xff\xff\xff"
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(data[:end]) + record + locator + bytes(ending))
    assert directory_bytes(path) == true_length(bytes(data))


def test_the_longest_of_several_records_counts() -> None:
    # One reader takes the first of these for the end, another the last.
    data = zipped(["some name"])
    length = true_length(data)
    decoy = data + struct.pack("<4s4H2LH", END, 0, 0, 0, 0, 3, 0, 0)
    assert directory_bytes(io.BytesIO(decoy)) == length


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 100, END, bytes(70_000)])
def test_what_is_no_zip_has_no_directory(data: bytes) -> None:
    assert directory_bytes(io.BytesIO(data)) == 0
