"""The story's sentences are reckoned from what ships: each figure in them is found by another way here."""

import math
import re

import pytest

from cnnviz.diagnosis.recorded import card, recorded, recorded_conditions, table
from cnnviz.diagnosis.recorded.fresh import fresh
from cnnviz.models.layers import LocalResponseNorm
from cnnviz.training import Recipe, get
from cnnviz.ui.pages.diagnose import story_text
from cnnviz.ui.pages.diagnose.story import compute_signal, parameters

FAILED, MENDED = "alexnet-stl10-failed", "alexnet-stl10-fixed"


def test_what_the_article_saw() -> None:
    run = recorded(FAILED)
    counts = run.predicted["test"][-1].counts
    text = story_text.observed(run)
    assert f"After {run.step} steps" in text
    assert f"ln 10 = {math.log(10):.3f}" in text
    assert f"{run.curve('train/epoch_loss').values[-1]:.3f}" in text
    assert f"{round(100 * max(counts) / sum(counts))} %" in text
    assert f"“{run.data.classes[counts.index(max(counts))]}”" in text


def test_the_first_layer_by_hand() -> None:
    """σ·√(3·11·11) times what pictures differ by."""
    layers = compute_signal("article", "unit")
    differ = fresh().entering("unit").signal
    text = story_text.first_layer(layers[0], "Pixels")
    assert "adds up 363 pixels" in text
    assert "0.01 · √363 = 0.19" in text
    assert f"= {0.01 * math.sqrt(363) * differ:.2g}." in text


def test_less_than_a_thousandth_is_left_in_the_article_and_much_more_when_mended() -> None:
    article, mended = compute_signal("article", "unit"), compute_signal("he", "standardised")
    assert article[-1].signal / article[0].entering.signal < 1e-3
    assert mended[-1].signal / mended[0].entering.signal > 0.05
    part = re.search(r"1 part in ([\d,]+)", story_text.last_layer(article))
    assert part is not None
    left = article[0].entering.signal / article[-1].signal
    assert int(part[1].replace(",", "")) == pytest.approx(left, rel=0.05)
    assert "of what went in" in story_text.last_layer(mended)


def test_only_biases_that_are_not_zero_are_spoken_of() -> None:
    assert "conv2, conv4, conv5" in story_text.biases(compute_signal("article", "unit"))
    assert "fc1, fc2" in story_text.biases(compute_signal("paper", "raw-minus-mean"))
    assert story_text.biases(compute_signal("he", "unit")) == ""


def test_dropouts_noise_drowns_the_signal() -> None:
    layers = {layer.name: layer.signal or 0 for layer in recorded(FAILED).looks[0].layers}
    assert layers["dropout1"] > 1000 * layers["relu6"]
    text = story_text.noise(recorded(FAILED))
    assert "before dropout1" in text
    assert f"{layers['dropout1']:.2g} behind it" in text


def test_gradients_are_compared_where_they_differ_most() -> None:
    layers = fresh().layers
    ratios = {
        a.name: b.gradient / a.gradient for a, b in zip(layers["article"], layers["mended"], strict=True)
    }
    name = max(ratios, key=lambda layer: ratios[layer])
    assert f"{name}'s gradient" in story_text.backwards(layers["article"], layers["mended"])
    assert ratios[name] > 100


def test_lrn_by_hand() -> None:
    text = story_text.response(LocalResponseNorm(alpha=1e-4), LocalResponseNorm(alpha=5e-4), 0.005)
    assert f"{(2 + 1e-4 * 0.005) ** -0.75:.5f} with the one" in text
    assert f"{(2 + 5e-4 * 0.005) ** -0.75:.5f} with the other" in text


def test_the_proof_names_the_arms_that_are_freed_and_those_that_are_not() -> None:
    result = recorded_conditions(table())
    text = " ".join(story_text.proof(result))
    assert f"in {result[0].n} of {result[0].n} runs" in text
    freed, stuck = text.split("Every run still does with: ")
    for arm in result[1:]:
        assert (f"{arm.name}, {story_text.gain_text(arm)} points" in freed) == (arm.collapsed == 0), arm.name
        named = [name.split(" (")[0] for name in stuck.split(". Gains")[0].split("; ")]
        assert (arm.name in named) == (arm.collapsed == arm.n), arm.name
    assert f"{len(table().rows)} on the article's AlexNet" in story_text.paired(table())
    assert story_text.gain_text(result[0]) == ""


def test_both_runs_are_compared_at_their_ends() -> None:
    failed, mended = recorded(FAILED), recorded(MENDED)
    text = story_text.compared(failed, mended)
    for run in (failed, mended):
        assert f"{100 * run.curve('test/accuracy').values[-1]:.1f} %" in text
    assert f"{card(MENDED).steps:,} steps" in story_text.made(card(MENDED))
    assert fresh().data in story_text.measured(fresh())


def test_links_open_the_recipes_on_train() -> None:
    for name in (FAILED, MENDED):
        recipe, text = recorded(name).recipe, parameters(recorded(name).recipe)
        changed = {
            k.removeprefix("set."): v for k, v in text.items() if k.startswith("set.") and v is not None
        }
        assert text["recipe"] == "article-alexnet-stl10"
        opened: Recipe = get(str(text["recipe"])).changed({**changed, "dataset": text["dataset"]})
        assert opened.difference(recipe) == {}
