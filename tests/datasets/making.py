"""Small pictures and folders of them, made when a test needs them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Files = Mapping[str, bytes]


def pixels(seed: int, size: tuple[int, int] = (6, 6), channels: int = 3) -> Any:
    """Random pixels `(H, W, C)`, or `(H, W)` for one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def encoded(values: Any, form: str = "PNG", **options: Any) -> bytes:
    """Pixels or a Pillow image as a file of the format `form`."""
    picture = values if isinstance(values, Image.Image) else Image.fromarray(values)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def classes(
    count: int = 5, names: tuple[str, ...] = ("cat", "dog"), prefix: str = "", start: int = 0
) -> Files:
    """`count` PNG pictures of each class, as a folder would hold them."""
    return {
        f"{prefix}{name}/{number}.png": encoded(pixels(start + 100 * label + number))
        for label, name in enumerate(names)
        for number in range(count)
    }


def write(root: Path, files: Files) -> Path:
    """Write files below `root`."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def table(
    path: Path,
    pictures: list[Any],
    labels: list[Any],
    features: Mapping[str, Any] | None = None,
    **names: str,
) -> Path:
    """A Parquet file in the Hugging Face layout."""
    picture, label = names.get("picture", "image"), names.get("label", "label")
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [p if isinstance(p, dict) or p is None else {"bytes": p, "path": None} for p in pictures]
    schema = pa.schema([(picture, struct), (label, pa.int64())])
    if features is not None:
        schema = schema.with_metadata({"huggingface": orjson.dumps({"info": {"features": features}})})
    arrays = [pa.array(cells, struct), pa.array(labels, pa.int64())]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, schema=schema), path)
    return path


def named(*classes_: str, picture: str = "image", label: str = "label") -> dict[str, Any]:
    """The features that the Hugging Face layout keeps in a schema."""
    return {picture: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": list(classes_)}}
