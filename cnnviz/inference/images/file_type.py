"""What a file is by its first bytes, for messages about what is not a picture or not weights."""

from __future__ import annotations

KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (0, b"GGUF", "a GGUF file"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (4, b"ftypheic", "a HEIC photograph"),
    (4, b"ftypheix", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIF photograph"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"SQLite format 3", "a database"),
    (0, b"\x89PNG", "a damaged PNG"),
    (0, b"\xff\xd8\xff", "a damaged JPEG"),
    (0, b"GIF8", "a damaged GIF"),
    (0, b"II*\x00", "a damaged TIFF"),
    (0, b"MM\x00*", "a damaged TIFF"),
    (8, b"WEBP", "a damaged WebP"),
)
START = 4_096


def kind(data: bytes) -> str:
    """What the bytes look like, as `a PDF document`; empty where nothing is recognised."""
    start = data[:START]
    if not start:
        return "an empty file"
    for place, magic, name in KINDS:
        if start[place : place + len(magic)] == magic:
            return name
    return _written(start)


def _written(start: bytes) -> str:
    try:
        text = start.decode("utf-8", errors="strict" if len(start) < START else "ignore").lstrip(
            "\ufeff \r\n\t"
        )
    except UnicodeDecodeError:
        return ""
    if not text.isprintable() and any(ord(c) < 9 for c in text):
        return ""
    if text[:1] == "<":
        return "an SVG drawing" if "<svg" in text.lower() else "an HTML or XML page"
    return "a text file"
