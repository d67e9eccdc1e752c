"""What `analyze` makes of modules of every habit: shared weights, functional calls, attention, misfits."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnnviz import models
from cnnviz.analysis import Analysis, analyze
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear


class Functional(nn.Module):
    """Does its work in functions, not in layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.weight = nn.Parameter(torch.zeros(5, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv(x))
        x = functional.conv2d(x, self.weight, stride=2)
        return functional.max_pool2d(x, 2).mean((2, 3)) @ torch.ones(5, 7, device=x.device)


class Shared(nn.Module):
    """Two layers that hold one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.second(self.first(self.first(x.flatten(1)))))


class Attention(nn.Module):
    """Patches, then attention among them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return torch.as_tensor(mixed.mean(1))


class Recurrent(nn.Module):
    """Uses a function that has no rule."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Bilinear(6, 6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        row = x.flatten(1)[:, :6]
        return torch.as_tensor(torch.cumsum(self.mix(row, row), 1))


# By hand, since what torch's own counter leaves out differs between its versions (fused attention, for one).
CLOSED_FORMS = [
    # A 3×3 convolution over 16×16, a 1×1 one with stride 2, and a product of a row with a matrix.
    (Functional(), 16 * 16 * 4 * (3 * 3 * 3) + 8 * 8 * 5 * 4 + 5 * 7),
    # Patches of 4×4; then four projections of 16 tokens by 16 channels, and both products among the tokens.
    (Attention(), 16 * 16 * (3 * 4 * 4) + 4 * 16 * 16 * 16 + 2 * 16 * 16 * 16),
    # Transposed: every input value meets every weight of its channel.
    (nn.Sequential(nn.ConvTranspose2d(3, 5, 3, 2)), 16 * 16 * 3 * (5 * 3 * 3)),
]


@pytest.mark.parametrize(("model", "macs"), CLOSED_FORMS)
def test_work_in_functions_is_counted(model: nn.Module, macs: int) -> None:
    result = analyze(model, (3, 16, 16))
    assert result.macs == macs
    assert result.total_params == sum(p.numel() for p in model.parameters())
    assert result.notes == ()


def test_a_function_belongs_to_the_module_that_holds_its_weight() -> None:
    result = analyze(Functional(), (3, 16, 16))
    own = result.row("")
    assert result.row("conv").macs == 16 * 16 * 4 * 27
    assert own.params == 20
    assert own.macs == 8 * 8 * 5 * 4 + 5 * 7


def test_attention_is_one_row_and_sees_everything() -> None:
    result = analyze(Attention(), (3, 16, 16))
    row = result.row("attention")
    assert row.kind == "attention"
    assert row.params == 4 * 16 * 16 + 4 * 16
    assert result.fc_params == row.params
    assert row.macs == 4 * 16 * 16 * 16 + 2 * 16 * 16 * 16
    assert result.row("patches").receptive_field.size == (4, 4)
    assert row.receptive_field.whole


def test_shared_weights_count_once() -> None:
    result = analyze(Shared(), (2, 2, 2))
    assert result.total_params == 64 + 8 + 8
    assert result.row("second").params == 8
    assert result.row("second").shared_with == "first"
    assert result.row("first").calls == 2
    assert result.macs == 3 * 64


def test_frozen_parameters_are_told_from_trainable_ones() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    model[0].requires_grad_(False)
    result = analyze(model, 8)
    assert (result.row("0").frozen, result.row("0").trainable) == (20, 0)
    assert result.trainable_params == 4
    assert result.row("1").buffers == 5


def test_what_has_no_rule_is_counted_and_said() -> None:
    result = analyze(Recurrent(), (1, 4, 4))
    assert "cumsum (1×)" in result.notes[0]
    assert result.total_params == 4 * 36 + 4


def test_a_module_handed_in_is_left_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    analyze(model, 8)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert not any(p.is_meta for p in model.parameters())


@pytest.mark.parametrize("inplace", [True, False])
def test_an_operation_in_place_counts_like_any(inplace: bool) -> None:
    result = analyze(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=inplace)), (1, 6, 6))
    assert result.forward_bytes() == 2 * (2 * 4 * 4) * 4
    assert [(edge[0], edge[1]) for edge in result.graph.edges] == [(0, 2), (2, 3), (3, 1)]


def test_half_precision_models_are_read() -> None:
    assert analyze(nn.Conv2d(3, 4, 3).half(), 8).total_params == 112


def test_layer_lists_and_specs_are_read() -> None:
    layers = LayerList(name="lenet5", input=(1, 8, 8), layers=(Conv(out=2), Flatten(), Linear()))
    result = analyze(layers)
    assert result.total_params == 20 + 72 * 10 + 10
    assert analyze(models.get("lenet5")) == analyze("lenet5")


def test_sizes_classes_and_options_change_the_figures() -> None:
    assert analyze("lenet5", num_classes=3).row("fc3").params == 3 * 85
    assert analyze("lenet5", input_size=32).row("fc1").settings["in"] == 576
    assert analyze("torchvision/resnet18", input_size=(64, 96)).input_shape == (3, 64, 96)
    normed = analyze("alexnet", options={"normalisation": "batch"})
    assert normed.norm_params > 0 == analyze("alexnet").norm_params


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: analyze("googlenett"), "did you mean googlenet"),
        (lambda: analyze("googlenet", input_size=32), "smallest input that works is"),
        (lambda: analyze("lenet5-1998", num_classes=11), "ten"),
        (lambda: analyze("lenet5", input_size=0), "from 1×1 to"),
        (lambda: analyze("lenet5", num_classes=0), "from 1 to 100,000 classes"),
        (lambda: analyze("lenet5", options={"norm": "x"}), "no option 'norm'"),
        (lambda: analyze("lenet5", input_size=(1, 2, 3, 4)), "input size"),
        (lambda: analyze(nn.Sequential(nn.Conv2d(3, 4, 9)), (3, 4, 4)), "cannot take an input of 3×4×4"),
        (
            lambda: analyze(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(5)), (3, 8, 8)),
            "cannot take an input",
        ),
        (lambda: analyze("torchvision/vit_b_16", input_size=100), "16"),
        (lambda: analyze("torchvision/alexnet", input_size=16), "63"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(call: object, sentence: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_real_weights_and_defaults_say_the_same() -> None:
    analysis: Analysis = analyze(models.build("lenet5"), (1, 28, 28))
    shipped = analyze("lenet5")
    assert [(r.name, r.params, r.macs, r.outputs) for r in analysis.rows] == [
        (r.name, r.params, r.macs, r.outputs) for r in shipped.rows
    ]
