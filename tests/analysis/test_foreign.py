"""Networks as people bring them: what they read is found, the odd is counted, a failure is a sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from cnnviz.analysis import analyze
from cnnviz.analysis.trace import shortcut
from cnnviz.models.user_code.registration import from_text as from_file

NETS = Path(__file__).with_name("foreign_nets.py")


def of(name: str, size: Any = None) -> Any:
    """The analysis of a class of the file beside this one."""
    return analyze(from_file(f"{NETS}:{name}"), size)


def line_of(text: str) -> int:
    """The number of the line of that file that holds this text."""
    return next(n for n, line in enumerate(NETS.read_text().splitlines(), 1) if text in line)


def test_a_function_with_a_result_of_no_dimension_is_counted() -> None:
    result = of("Scaled", 32)
    assert result.total_params == 314
    assert result.macs == 8 * 30 * 30 * 27 + 80 == 194_480


@pytest.mark.parametrize(
    "function",
    [
        *(
            torch.min,
            torch.max,
            torch.norm,
            torch.prod,
            torch.std,
            torch.median,
            torch.argmax,
            torch.logsumexp,
        ),
        *(torch.count_nonzero, torch.linalg.vector_norm, torch.sum, torch.mean, torch.nansum, torch.trace),
    ],
)
def test_every_function_with_a_result_of_no_dimension_goes_through(function: Any) -> None:
    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            flat = x.flatten()
            given = flat.reshape(8, 8) if function is torch.trace else flat
            one = function(given, 0) if function is torch.logsumexp else function(given)
            return (x * one).flatten(1)

    assert analyze(Net(), (1, 8, 8)).graph.nodes[1].output_shape == (64,)


def test_the_larger_of_two_tensors_is_no_reduction() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)

        def forward(self, x: Any) -> Any:
            return torch.max(self.one(x), self.two(x))

    (node,) = [node for node in analyze(Net(), 8).graph.nodes if node.label == "max"]
    assert node.kind == "other"
    assert node.output_shape == (4, 6, 6)


def test_of_a_branch_that_depends_on_data_one_path_is_analysed_and_said_which() -> None:
    result = of("Branch", 32)
    assert result.macs == 8 * 30 * 30 * 27 + 80
    line = f"foreign_nets.py, line {line_of('if x.sum() > 0')}"
    assert [note for note in result.notes if line in note and "condition on its values held" in note]


def test_a_loop_that_waits_for_its_values_ends() -> None:
    result = of("Loops", 8)
    assert result.row("conv").calls > 1
    assert "one path was analyzed" in result.notes[0]


def test_a_value_taken_of_the_input_is_said() -> None:
    assert "as if the value were 1" in of("TakesValue", 8).notes[0]


def test_two_inputs_are_refused_with_their_names() -> None:
    with pytest.raises(ValueError, match=r"TwoInputs reads 2 inputs \(a, b\)"):
        of("TwoInputs", 28)


@pytest.mark.parametrize(
    ("name", "error"), [("Fails", "KeyError: 'missing'"), ("Breaks", "ZeroDivisionError")]
)
def test_an_error_in_forward_is_a_sentence_with_the_users_file_and_line(name: str, error: str) -> None:
    with pytest.raises(ValueError, match="cannot be analyzed") as errors:
        of(name, 28)
    assert error in str(errors.value)
    assert f"(foreign_nets.py, line {line_of(f'# fails: {name}')})" in str(errors.value)
    assert "\n" not in str(errors.value)


def test_a_misfit_names_the_users_line() -> None:
    with pytest.raises(ValueError, match=r"cannot take an input of 1×30×30.*foreign_nets.py, line \d+"):
        of("Grey", 30)


def test_a_result_whose_size_depends_on_values_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"needs the values of its input \(foreign_nets.py, line \d+\)"):
        of("Selects", 8)


def test_a_module_without_forward_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="defines no forward"):
        analyze(nn.Module(), 8)


def test_channels_and_classes_and_a_size_are_the_networks_own() -> None:
    result = of("Grey")
    assert (result.input_shape, result.classes) == ((1, 28, 28), 7)
    assert "1×28×28" in result.notes[-1]
    assert of("Grey", 28).notes == ()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 9])
def test_channels_are_those_of_the_first_convolution(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))
    assert analyze(model, 16).input_shape == (channels, 16, 16)


def test_a_number_that_a_block_keeps_for_itself_is_not_taken_for_channels() -> None:
    assert of("Keeps", 16).input_shape == (3, 16, 16)


def test_channels_are_found_where_the_first_layer_that_runs_is_defined_later() -> None:
    assert of("Backwards", 16).input_shape == (1, 16, 16)


@pytest.mark.parametrize(("features", "shape"), [(784, (1, 28, 28)), (3072, (3, 32, 32)), (192, (3, 8, 8))])
def test_a_network_that_begins_with_a_linear_layer_gets_images_of_its_size(
    features: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "mlp.py"
    path.write_text(
        "from torch import nn\ndef mlp():\n"
        f"    return nn.Sequential(nn.Flatten(), nn.Linear({features}, 5), nn.ReLU(), nn.Linear(5, 4))\n"
    )
    result = analyze(from_file(f"{path}:mlp"))
    assert (result.input_shape, result.classes) == (shape, 4)
    assert result.macs == features * 5 + 5 * 4


def test_of_weights_used_five_times_the_receptive_field_grows_and_parameters_count_once() -> None:
    result = of("Shared", 32)
    row = result.row("conv")
    assert row.receptive_field.size == (13, 13)
    assert (row.calls, row.params) == (5, 8 * 8 * 9 + 8)
    assert row.macs == 5 * 32 * 32 * 8 * 8 * 9


def test_a_layer_without_weights_that_is_used_twice_keeps_its_first_place() -> None:
    relu = nn.ReLU()
    result = analyze(nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu), 16)
    assert result.row("1").receptive_field.size == (3, 3)


def test_an_lstm_over_rows_is_a_kind_of_its_own_and_counted_exactly() -> None:
    result = of("Rows")
    row = result.row("lstm")
    assert result.input_shape == (1, 28, 28)
    assert row.kind == "recurrent"
    assert row.macs == 28 * (4 * 32 * 28 + 4 * 32 * 32)
    assert row.params == 4 * 32 * (28 + 32 + 2)
    assert result.fc_params == 330
    assert not [note for note in result.notes if "rule" in note]


MADE: list[tuple[Any, int]] = [
    (nn.LSTM(6, 5, batch_first=True), 4 * 5 * (6 + 5)),
    (
        nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True),
        2 * 4 * 5 * (6 + 5) + 2 * 4 * 5 * (10 + 5),
    ),
    (nn.LSTM(6, 5, proj_size=3, batch_first=True), 4 * 5 * (6 + 3) + 3 * 5),
    (nn.GRU(6, 5, batch_first=True), 3 * 5 * (6 + 5)),
    (nn.RNN(6, 5, batch_first=True), 5 * (6 + 5)),
    (nn.RNN(6, 5, nonlinearity="relu", bias=False, batch_first=True), 5 * (6 + 5)),
]


@pytest.mark.parametrize(("layer", "each"), MADE)
def test_recurrent_layers_are_counted_by_their_weights_and_steps(layer: Any, each: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return self.layer(x.squeeze(1))[0][:, -1]

    result = analyze(Net(), (1, 7, 6))
    row = result.row("layer")
    assert (row.kind, row.macs) == ("recurrent", 7 * each)
    assert row.elementwise > 0
    assert result.notes == ()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@given(
    st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            "bidirectional": st.booleans(),
            "batch_first": st.booleans(),
            "bias": st.booleans(),
        }
    ),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_a_recurrent_layer_gives_the_shapes_that_torch_gives(
    kind: Any, settings: dict[str, Any], projected: int, images: int, steps: int
) -> None:
    """The steps are not walked through on the meta device; the shapes are those of the real pass."""
    if kind is nn.LSTM:
        settings = settings | {"proj_size": projected}
    layer = kind(3, 4, **settings)
    shape = (images, steps, 3)
    expected = layer(torch.zeros(shape))
    flat = [expected[0], *(expected[1] if isinstance(expected[1], tuple) else (expected[1],))]
    x = torch.empty(shape, device="meta")
    states = torch.empty_like(flat[1], device="meta"), torch.empty((*flat[1].shape[:2], 4), device="meta")
    weights = [w.to("meta") for w in layer._flat_weights]
    name = {nn.LSTM: "lstm", nn.GRU: "gru", nn.RNN: "rnn_tanh"}[kind]
    state = states if kind is nn.LSTM else states[0]
    args = (
        x,
        state,
        weights,
        layer.bias,
        layer.num_layers,
        0.0,
        False,
        layer.bidirectional,
        layer.batch_first,
    )
    got = shortcut(name, args, {})
    assert [tuple(t.shape) for t in got] == [tuple(t.shape) for t in flat]
    assert shortcut(name, (torch.empty((images, steps, 2), device="meta"), *args[1:]), {}) is None


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_recurrent_cells_are_counted_once_a_step(cell: Any, gates: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell(6, 5)

        def forward(self, x: Any) -> Any:
            state = None
            for row in x.squeeze(1).unbind(1):
                state = self.cell(row, state)
            return state[0] if isinstance(state, tuple) else state

    result = analyze(Net(), (1, 7, 6))
    assert (result.row("cell").kind, result.row("cell").calls) == ("recurrent", 7)
    assert result.macs == 7 * gates * 5 * (6 + 5)


def test_recurrent_macs_agree_with_the_matrix_products_of_the_same_layer_written_out() -> None:
    torch.manual_seed(0)
    layer: Any = nn.RNN(6, 5, batch_first=True)
    x, state, products = torch.randn(1, 7, 6), torch.zeros(1, 5), 0
    for row in x.unbind(1):
        state = torch.tanh(
            functional.linear(row, layer.weight_ih_l0, layer.bias_ih_l0)
            + functional.linear(state, layer.weight_hh_l0, layer.bias_hh_l0)
        )
        products += math.prod(layer.weight_ih_l0.shape) + math.prod(layer.weight_hh_l0.shape)
    assert torch.allclose(layer(x)[0][:, -1], state, atol=1e-6)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return self.layer(x.squeeze(1))[0][:, -1]

    assert analyze(Net(), (1, 7, 6)).macs == products
