"""Decoder worker: decodes untrusted images in its own process, `decoder_worker.py READING MEMORY_BYTES`.

It imports Pillow, the standard library and, by its path `READING`, `cnnviz.datasets.image_files`, so that it
starts in a fraction of a second and holds nothing that could leak. Requests arrive on stdin, responses leave
on stdout: a line of JSON, then the bytes. Whatever ends it (memory, a fault of a decoder, a timeout) costs
one image; see `decoder`.
"""

import contextlib
import importlib.util
import io
import json
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError


def load_module(path: str) -> Any:
    """Import the module at `path`, which belongs to no package here."""
    spec = importlib.util.spec_from_file_location("image_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decode(files: Any, data: bytes, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """Decode the first frame to RGB bytes, or RGBA where something is transparent.

    Return also its metadata.
    """
    picture = Image.open(io.BytesIO(data), formats=files.FORMATS)
    width, height = picture.size
    if width * height > most_pixels:
        return {"refused": "pixels", "size": (width, height)}, b""
    facts: dict[str, Any] = {"format": picture.format, "mode": picture.mode, "moving": moving(picture)}
    picture.load()
    facts["orientation"] = files.orientation(picture, data)
    converted = files.plain(picture)
    return facts | {"size": converted.size, "channels": len(converted.getbands())}, converted.tobytes()


def moving(picture: Image.Image) -> bool:
    """Return whether there are frames after the first."""
    with contextlib.suppress(Exception):
        return bool(getattr(picture, "is_animated", False))
    return False


def limit_memory(max_bytes: int) -> None:
    """Limit this process to a number of bytes, where the system supports it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))


def decode_or_error(files: Any, data: bytes, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """Call `decode` and convert every error to a response."""
    try:
        return decode(files, data, most_pixels)
    except MemoryError:
        return {"refused": "memory"}, b""
    except UnidentifiedImageError:
        return {"refused": "unknown"}, b""
    except Exception as error:  # A decoder may raise anything over hostile or damaged bytes.
        return {"refused": "damaged", "reason": next(iter(str(error).splitlines()), "")[:200]}, b""


def serve(files: Any, requests: BinaryIO, answers: BinaryIO) -> None:
    """Handle requests until the input ends: one image, or several small ones that are answered at once."""
    while line := requests.readline():
        request = json.loads(line)
        if "sizes" in request:
            every = [
                decode_or_error(files, requests.read(size), request["most_pixels"])
                for size in request["sizes"]
            ]
            heads = [facts | {"bytes": len(pixels)} for facts, pixels in every]
            answers.write(json.dumps(heads).encode() + b"\n" + b"".join(pixels for _, pixels in every))
            answers.flush()
            continue
        facts, pixels = decode_or_error(files, requests.read(request["bytes"]), request["most_pixels"])
        answers.write(json.dumps(facts | {"bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


if __name__ == "__main__":
    reading = load_module(sys.argv[1])
    limit_memory(int(sys.argv[2]))
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # Our own limit is lower, and checked before decoding.
    serve(reading, sys.stdin.buffer, sys.stdout.buffer)
