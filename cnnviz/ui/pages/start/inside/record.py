"""Takes what the Start page shows of a network: `python -m cnnviz.ui.pages.start.inside.record`."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from PIL import Image

from cnnviz.analysis import analyze
from cnnviz.inference import samples
from cnnviz.inference.images import image, preprocessing_trace, read_image
from cnnviz.inference.predict import Prediction, Predictor
from cnnviz.inference.weights import bundled
from cnnviz.interpret.activations import strip
from cnnviz.interpret.colormaps import Bytes
from cnnviz.ui.pages.start.inside import LAYERS, RECORDED, SAMPLE, WEIGHTS

MAPS, SIDE, ANSWERS = 3, 32, 3


def taken() -> dict[str, Any]:
    """What `RECORDED` holds, from the shipped weights and the bundled picture."""
    loaded = bundled.load(WEIGHTS)
    read = read_image.read(samples.get(SAMPLE).upload())
    if not isinstance(read, image.Picture):
        raise ValueError(read.reason)
    done = preprocessing_trace.steps(read, loaded.preprocessing)
    ready = done[-1].tensor
    assert ready is not None
    glances = strip(loaded.model, ready, LAYERS, MAPS, SIDE, "dark")
    analysis = analyze(loaded.model, loaded.input_shape)
    predicted = Predictor(loaded).predict([read], top=ANSWERS)[0]
    assert isinstance(predicted, Prediction)
    return {
        "input": _png(done[-2].picture),
        "layers": [
            {
                "name": name.removeprefix("inception_"),
                "shape": "×".join(map(str, analysis.row(name).output_shape)),
                "png": _png(glances[name].mosaic.pixels),
            }
            for name in LAYERS
        ],
        "answers": [(answer.name, round(answer.probability, 4)) for answer in predicted.top],
    }


def _png(pixels: Bytes) -> str:
    written = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").quantize(128).save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(taken(), indent=1) + "\n", encoding="utf-8")
