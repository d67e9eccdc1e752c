"""A layer list becomes the program that the browser runs (how: `tests/browser/test_forward.py`)."""

import subprocess
import sys

import numpy as np
import pytest

from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled
from cnnviz.inference.weights.layer_program import layer_program
from cnnviz.models.layers import Conv, Dropout, Flatten, LayerList, Linear, Residual


def test_offsets_lead_to_the_weights() -> None:
    layers = LayerList(
        input=(1, 3, 3), classes=2, layers=(Conv(name="conv", out=2), Flatten(), Dropout(), Linear(name="fc"))
    )
    random = np.random.default_rng(0)
    state = {
        "conv.weight": random.normal(size=(2, 1, 3, 3)), "conv.bias": random.normal(size=2),
        "fc.weight": random.normal(size=(2, 2)), "fc.bias": random.normal(size=2),
    }  # fmt: skip
    program = layer_program(layers, state)
    assert [layer["op"] for layer in program.layers] == ["conv2d", "flatten", "linear"]
    assert program.weights.dtype == np.float32
    for layer, name in ((program.layers[0], "conv"), (program.layers[2], "fc")):
        for part in ("weight", "bias"):
            values = state[f"{name}.{part}"].ravel().astype(np.float32)
            start = layer[part]
            np.testing.assert_array_equal(program.weights[start : start + values.size], values)


def test_what_cannot_run_there_is_named() -> None:
    layers = LayerList(input=(1, 8, 8), layers=(Residual(name="block", out=4), Flatten(), Linear()))
    with pytest.raises(InferenceError, match=r"'block' .* does not run in the browser"):
        layer_program(layers, {})
    layers = LayerList(input=(1, 8, 8), layers=(Conv(name="conv"), Flatten(), Linear()))
    with pytest.raises(InferenceError, match=r"no 'conv\.weight'"):
        layer_program(layers, {})
    with pytest.raises(InferenceError, match="inception block"):
        bundled.program("small-googlenet-cifar10")


def test_the_shipped_network_is_translated_without_torch() -> None:
    code = (
        "import sys\nfrom cnnviz.inference.weights import bundled\nbundled.program('lenet5-mnist')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
