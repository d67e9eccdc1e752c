"""Decodes pictures that strangers made, in a process of its own: `python decoder.py MEMORY_BYTES`.

It knows Pillow and the standard library only, so that it starts in a fraction of a second, and nothing is in
it that could leak. Requests come on stdin, answers leave on stdout: a line of JSON, then so many bytes.
What kills it (memory, a decoder's fault, patience) costs one picture; see `decoding`.
"""

import contextlib
import io
import json
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ORIENTATION = 0x0112


def decode(data: bytes, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """The first frame as RGB bytes, or RGBA where something is transparent, and what is known of it."""
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = picture.size
    if width * height > most_pixels:
        return {"refused": "pixels", "size": (width, height)}, b""
    facts: dict[str, Any] = {"format": picture.format, "mode": picture.mode, "moving": moving(picture)}
    picture.load()
    facts["orientation"] = orientation(picture)
    clear = picture.has_transparency_data
    plain = picture.convert("RGBA" if clear else "RGB")
    return facts | {"size": plain.size, "channels": 4 if clear else 3}, plain.tobytes()


def moving(picture: Image.Image) -> bool:
    """Whether there are frames after the first."""
    with contextlib.suppress(Exception):
        return bool(getattr(picture, "is_animated", False))
    return False


def orientation(picture: Image.Image) -> int:
    """Exif's orientation, 1 where there is none or its note is damaged."""
    with contextlib.suppress(Exception):
        value = picture.getexif().get(ORIENTATION, 1)
        return value if value in range(1, 9) else 1
    return 1


def limit_memory(most: int) -> None:
    """Let this process have at most so many bytes, where the system can be told."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def answer(data: bytes, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """`decode`, with every error as an answer."""
    try:
        return decode(data, most_pixels)
    except MemoryError:
        return {"refused": "memory"}, b""
    except UnidentifiedImageError:
        return {"refused": "unknown"}, b""
    except Exception as error:  # A decoder may raise anything over hostile or damaged bytes.
        return {"refused": "damaged", "reason": next(iter(str(error).splitlines()), "")[:200]}, b""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests."""
    while line := requests.readline():
        request = json.loads(line)
        facts, pixels = answer(requests.read(request["bytes"]), request["most_pixels"])
        answers.write(json.dumps(facts | {"bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # Ours is stricter and asked before anything is decoded.
    serve(sys.stdin.buffer, sys.stdout.buffer)
