"""The forward pass and the preprocessing in JavaScript, in Chromium, against PyTorch and Pillow."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page
from torch import nn

from cnnviz import datasets, models
from cnnviz.inference.images import preprocessing_trace, read_image
from cnnviz.inference.samples import STROKES, draw_strokes
from cnnviz.inference.weights import bundled
from cnnviz.inference.weights.layer_program import LayerProgram, layer_program
from cnnviz.inference.weights.module_program import module_program
from cnnviz.models import modules
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
    Softmax,
    module_from,
)
from cnnviz.ui.components import SHARED, read

WEIGHTS = "lenet5-mnist"
RUN = """([program, weights, inputs, kernel]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const text = (values) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  };
  const held = floats(weights), fast = kernel && compiledConvolution(bytes(kernel), held);
  if (kernel && !fast) throw new Error("the compiled convolution does not run here");
  return inputs.map((input) => forward(program, held, floats(input), fast).map(({ name, shape, values }) =>
    ({ name, shape, values: text(values) })));
}"""
KERNEL = SHARED / "convolution.wasm"
CONVOLVE = """([kernel, layer, shape, weights, input]) => {
  const compiled = compiledConvolution(new Uint8Array(kernel), new Float32Array(weights));
  if (!compiled) return null;
  const { shape: found, values } = compiled(layer, { shape, values: new Float32Array(input) });
  return [found, Array.from(values)];
}"""
CENTER = """([pictures, how]) => pictures.map(([height, width, text]) => {
  const pixels = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const { seen, input } = digitInput({ height, width, pixels }, how);
  return { pixels: Array.from(seen.pixels), input: Array.from(input) };
})"""


@pytest.fixture(scope="module")
def scripts(chromium: Browser) -> Iterator[Page]:
    """An empty window with the three files in it."""
    page = chromium.new_page()
    page.add_script_tag(content=read(SHARED, "forward.js", "convolution.js", "center_digit.js"))
    yield page
    page.close()


def encoded(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), np.float32)


def in_browser(
    page: Page, program: LayerProgram, images: NDArray[np.float32], *, compiled: bool = False
) -> list[list[tuple[str, NDArray[np.float32]]]]:
    """Every layer's name and output, for each image; large convolutions by WebAssembly if `compiled`."""
    kernel = base64.b64encode(KERNEL.read_bytes()).decode() if compiled else ""
    given = [program.facts(), encoded(program.weights), [encoded(each) for each in images], kernel]
    return [
        [(out["name"], decoded(out["values"]).reshape(out["shape"])) for out in outputs]
        for outputs in page.evaluate(RUN, given)
    ]


def in_torch(network: nn.Sequential, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Every child's output for all images, by name."""
    result, x = {}, torch.from_numpy(images)
    with torch.no_grad():
        for name, part in network.named_children():
            x = part(x)
            result[name] = x.numpy()
    return result


def assert_equal(
    page: Page, network: nn.Sequential, program: LayerProgram, images: NDArray[np.float32]
) -> None:
    theirs = in_torch(network, images)
    for number, outputs in enumerate(in_browser(page, program, images)):
        assert outputs
        for name, values in outputs:
            np.testing.assert_allclose(values, theirs[name][number], atol=1e-4, rtol=1e-4, err_msg=name)


def test_every_layer_of_the_shipped_lenet5_equals_pytorch_on_100_digits(scripts: Page) -> None:
    loaded, program = bundled.load(WEIGHTS), bundled.program(WEIGHTS)
    assert program.weights.size == 61_706
    assert isinstance(loaded.model, nn.Sequential)
    pixels = torch.from_numpy(np.array(datasets.load("digits").test.pixels(np.arange(100))))
    images = loaded.preprocessing.inputs(pixels).numpy()
    theirs = in_torch(loaded.model, images)
    for number, outputs in enumerate(in_browser(scripts, program, images)):
        assert [name for name, _ in outputs] == list(theirs)
        for name, values in outputs:
            assert np.abs(values - theirs[name][number]).max() <= 1e-4, name


sides, small = st.integers(1, 3), st.integers(0, 2)
PARTS: st.SearchStrategy[Layer] = st.one_of(
    st.builds(
        Conv, out=st.sampled_from([2, 4, 6]), kernel=st.tuples(sides, sides), stride=st.tuples(sides, sides),
        padding=st.tuples(small, small), dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
        groups=st.sampled_from([1, 2]), bias=st.booleans(),
    ),
    st.builds(
        Pool, mode=st.sampled_from(["max", "average"]), kernel=st.integers(2, 3),
        stride=st.one_of(st.none(), sides), padding=st.integers(0, 1), ceil=st.booleans(),
    ),
    st.builds(
        Activation, function=st.sampled_from(["relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu"])
    ),
    st.sampled_from([BatchNorm(), LocalResponseNorm(), LocalResponseNorm(size=4), Softmax(), Dropout()]),
)  # fmt: skip


@st.composite
def networks(draw: st.DrawFn) -> LayerList:
    """Layer lists that fit, from maps to classes."""
    body = draw(st.lists(PARTS, min_size=1, max_size=5))
    head = [Flatten(), Linear(out=5, bias=draw(st.booleans())), BatchNorm(), Linear(), Softmax()]
    end = draw(st.sampled_from([head, [GlobalPool(), *head]]))
    side = st.integers(5, 14)
    return LayerList(input=(2, draw(side), draw(side)), classes=3, layers=(*body, *end))


@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(networks().filter(lambda layers: not layers.problem()), st.integers(0, 2**31))
def test_any_sequence_of_plain_layers_equals_pytorch(scripts: Page, layers: LayerList, seed: int) -> None:
    torch.manual_seed(seed)
    network = module_from(layers).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    program = layer_program(layers, {name: value.numpy() for name, value in network.state_dict().items()})
    images = torch.randn(2, *layers.input).numpy()
    assert_equal(scripts, network, program, images)


def test_the_layers_of_1998_equal_pytorch(scripts: Page) -> None:
    """Scaled tanh, trained subsampling, a convolution with a connection table, distances to codes."""
    network = models.build("lenet5-1998")
    assert isinstance(network, nn.Sequential)
    for part in network.modules():
        if isinstance(part, modules.Subsampling):
            nn.init.uniform_(part.gain, 0.5, 2)
            nn.init.uniform_(part.bias)
    program = module_program(network.eval(), (1, 32, 32)).program
    images = torch.randn(3, 1, 32, 32).numpy()
    theirs = in_torch(network, images)
    for number, outputs in enumerate(in_browser(scripts, program, images)):
        last = {name: values for name, values in outputs if not name.endswith(".mean")}
        assert set(last) == set(theirs)
        for name, values in last.items():
            np.testing.assert_allclose(values, theirs[name][number], atol=1e-4, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("compiled", [False, True], ids=["javascript", "webassembly"])
@pytest.mark.parametrize("name", ["lenet5-mnist", "small-googlenet-cifar10"])
def test_every_layer_of_a_shipped_network_equals_pytorch(scripts: Page, name: str, compiled: bool) -> None:
    """As the view of a whole network runs it: GoogLeNet's branches, with the matrix product of windows."""
    loaded = bundled.load(name)
    network = module_program(loaded.model, loaded.input_shape)
    torch.manual_seed(0)
    images = torch.randn(1, *loaded.input_shape)
    ours = in_browser(scripts, network.program, images.numpy(), compiled=compiled)[0]
    for (layer, values), theirs in zip(ours, network.outputs(images), strict=True):
        expected = theirs.numpy()
        assert values.shape == expected.shape, layer
        assert np.abs(values - expected).max() <= 1e-4 * np.abs(expected).max(), layer


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Conv2d, tuple[int, int]]:
    """A convolution without bias and the size of an image that it fits."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, dilation, padding = draw(pair), draw(pair), draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    height, width = (side + draw(st.integers(0, 9)) for side in least)
    conv = nn.Conv2d(
        groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 6)), kernel, draw(pair), padding,
        dilation, groups, bias=False,
    )  # fmt: skip
    return conv, (height, width)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(convolutions(), st.integers(0, 2**31))
def test_the_compiled_convolution_equals_pytorch(
    scripts: Page, case: tuple[nn.Conv2d, tuple[int, int]], seed: int
) -> None:
    conv, side = case
    torch.manual_seed(seed)
    image = torch.randn(conv.in_channels, *side)
    layer = {
        "out": conv.out_channels, "groups": conv.groups, "weight": 3, "kernel": conv.kernel_size,
        "stride": conv.stride, "padding": conv.padding, "dilation": conv.dilation,
    }  # fmt: skip
    with torch.no_grad():
        nn.init.normal_(conv.weight)
        expected = conv(image[None])[0].numpy()
    weights = [0.0] * 3 + conv.weight.detach().ravel().tolist()
    given = [list(KERNEL.read_bytes()), layer, list(image.shape), weights, image.ravel().tolist()]
    shape, values = scripts.evaluate(CONVOLVE, given)
    assert tuple(shape) == expected.shape
    np.testing.assert_allclose(np.array(values).reshape(shape), expected, atol=1e-4, rtol=1e-4)


def test_a_browser_that_cannot_run_it_goes_on_in_javascript(scripts: Page) -> None:
    assert scripts.evaluate(CONVOLVE, [[0, 1, 2, 3], {}, [1, 1, 1], [0.0], [0.0]]) is None


@pytest.mark.parametrize("compiled", [False, True], ids=["javascript", "webassembly"])
def test_additions_grouped_windows_and_other_activations_equal_pytorch(scripts: Page, compiled: bool) -> None:
    """A residual block between convolutions large enough for the matrix product, and small ones in groups."""

    class Joined(nn.Module):
        """What layer lists have not: an addition, a concatenation, ReLU6, hard swish."""

        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(3, 9, (3, 5), (2, 1), (1, 2), (1, 2))
            self.groups = nn.Conv2d(9, 9, 3, padding=1, groups=3)
            self.norm = nn.BatchNorm2d(9, affine=False)
            self.swish, self.six = nn.Hardswish(), nn.ReLU6()
            self.pool = nn.AdaptiveAvgPool2d((2, 2))
            self.fc = nn.Linear(72, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.wide(x)
            y = self.six(self.norm(self.groups(x)) + x)
            scores: torch.Tensor = self.fc(torch.flatten(self.pool(torch.cat([y, self.swish(x)], 1)), 1))
            return scores

    torch.manual_seed(1)
    network = module_program(Joined().eval(), (3, 24, 16))
    images = torch.randn(2, 3, 24, 16)
    assert {"add", "concat"} <= {layer["op"] for layer in network.program.layers}
    for number, ours in enumerate(in_browser(scripts, network.program, images.numpy(), compiled=compiled)):
        theirs_all = network.outputs(images[number : number + 1])
        for (name, values), theirs in zip(ours, theirs_all, strict=True):
            np.testing.assert_allclose(values, theirs.numpy(), atol=1e-4, rtol=1e-4, err_msg=name)


def scribble(seed: int) -> Image.Image:
    """Lines anywhere, of any width, some of them faint; on 280 pixels as the canvas has, or on others."""
    random = np.random.default_rng(seed)
    side = int(random.choice([280, 280, 97, 20]))
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    for _ in range(random.integers(1, 5)):
        points = [tuple(point) for point in random.uniform(0, side, (random.integers(2, 5), 2)).tolist()]
        pen.line(points, fill=int(random.integers(20, 256)), width=int(random.integers(1, max(2, side // 9))))
    return picture


def test_the_drawing_goes_in_as_in_python_to_the_bit(scripts: Page) -> None:
    how = bundled.card(WEIGHTS).preprocessing.changed(centre=True)
    drawn = [draw_strokes(strokes, 280, 20 / 280) for strokes in STROKES]
    drawn += [scribble(seed) for seed in range(40)] + [Image.new("L", (280, 280))]
    pictures = [np.asarray(picture) for picture in drawn]
    given = [[*pixels.shape, encoded(pixels)] for pixels in pictures]
    facts = {"side": how.side[0], "mean": how.mean[0], "std": how.spread[0]}
    for picture, ours in zip(drawn, scripts.evaluate(CENTER, [given, facts]), strict=True):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        known = read_image.read(read_image.Upload("drawing.png", buffer.getvalue()))
        assert isinstance(known, read_image.Picture)
        theirs = preprocessing_trace.stored_pixels(known, how)
        np.testing.assert_array_equal(np.array(ours["pixels"]).reshape(theirs.shape), theirs)
        numbers = how.inputs(torch.from_numpy(theirs)[None]).numpy().ravel()
        np.testing.assert_allclose(ours["input"], numbers, atol=1e-6)
