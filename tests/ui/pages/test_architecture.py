"""What the page Architecture says, as data and as HTML."""

import math

import pytest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.models import Published
from cnnviz.ui.pages.architecture import breakable, compare, inspector_html, table_frame
from cnnviz.ui.shared.model_data import headline_figures, shares


def test_headline_of_alexnet_is_the_article_s() -> None:
    figures = [(value, label) for value, label, _ in headline_figures(analyze("alexnet-cifar10"), 1)]
    assert figures == [
        ("58.3 M", "parameters"),
        ("1.18 GMAC", "for one image"),
        ("222 MiB", "of parameters"),
        ("8.26 MiB", "activation memory, 1 image"),
        ("8", "depth (weight layers)"),
    ]


def test_memory_of_a_batch_is_as_many_images() -> None:
    analysis = analyze("alexnet-cifar10")
    ((one, _, _), (many, label, _)) = (headline_figures(analysis, batch)[3] for batch in (1, 100))
    assert math.isclose(100 * float(one.split()[0]), float(many.split()[0]), rel_tol=0.01)
    assert label == "activation memory, 100 images"


@pytest.mark.parametrize(("name", "conv"), [("alexnet-cifar10", 0.064), ("small-alexnet", 0.132)])
def test_split_of_parameters(name: str, conv: float) -> None:
    split = dict(shares(analyze(name), "parameters"))
    assert math.isclose(split["conv"], conv, abs_tol=0.0005)
    assert math.isclose(split["conv"] + split["fc"], 1)


def test_fully_connected_layers_of_vgg_are_most_parameters_and_hardly_any_computation() -> None:
    vgg = analyze("torchvision/vgg16")
    assert round(dict(shares(vgg, "parameters"))["fc"], 2) == 0.89
    assert round(dict(shares(vgg, "arithmetic"))["fc"], 3) == 0.008


@pytest.mark.parametrize("name", models.names())
def test_splits_add_up(name: str) -> None:
    analysis = analyze(name)
    for of in ("parameters", "arithmetic"):
        assert math.isclose(sum(share for _, share in shares(analysis, of)), 1)


def test_inspector_works_the_formulas_out() -> None:
    analysis = analyze("alexnet-cifar10")
    html = inspector_html(analysis, analysis.row("conv2"), 1)
    assert "<code>256·(96·5·5 + 1)</code> = <b>614,656</b>" in html
    assert "<code>(29 + 2·2 − 5)/1 + 1</code> = <b>29</b>" in html
    assert "<b>516,710,400</b>" in html
    assert "43.7 % of all" in html
    assert "5×5 window at all 96 input maps" in html
    assert "<code>8·215,296·4 bytes</code>" in inspector_html(analysis, analysis.row("conv2"), 8)


@pytest.mark.parametrize(
    "name", ["lenet5-1998", "googlenet-aux", "torchvision/vit_b_16", "torchvision/swin_t"]
)
def test_inspector_has_something_to_say_of_every_layer(name: str) -> None:
    analysis = analyze(name)
    for row in analysis.rows:
        html = inspector_html(analysis, row, 2)
        assert breakable(row.name or "(model)") in html
        assert html.count("<section>") >= 3


def test_names_are_shown_as_text() -> None:
    assert breakable("a_b.c<i>") == "a_<wbr>b.<wbr>c&lt;i&gt;"


def test_table_is_exact() -> None:
    analysis = analyze("small-alexnet")
    frame = table_frame(analysis, 1)
    assert list(frame["layer"]) == [row.name for row in analysis.rows]
    assert frame["parameters"].sum() == 12_417_098
    conv2 = frame.set_index("layer").loc["conv2"]
    assert (conv2["output"], conv2["parameters"]) == ("192×26×26", 307_392)
    assert conv2["kind"] == ["convolution"]
    assert conv2["formula"] == "192·(64·5·5 + 1) = 307,392"


def test_a_claim_stands_beside_what_is_counted() -> None:
    small = analyze("small-alexnet")
    claim = Published("conv_share", 0.15, source="an article")
    assert compare(claim, small) == (
        "convolutions' share of the parameters",
        "15.0 %",
        "13.2 %",
        "an article",
    )
    assert compare(Published("params", 12_417_098), small)[1:3] == ("12,417,098", "12,417,098")


def test_what_only_training_tells_is_not_counted() -> None:
    what, text, counted, _ = compare(Published("accuracy", 0.8316, on="CIFAR-10"), analyze("small-alexnet"))
    assert (what, text, counted) == ("test accuracy on CIFAR-10", "83.2 %", "not measured (needs training)")


@pytest.mark.parametrize("name", models.names())
def test_every_published_figure_can_be_shown(name: str) -> None:
    analysis = analyze(name)
    for published in models.get(name).published:
        assert all(compare(published, analysis)[:3])
