"""Pictures of a finding become Plotly's JSON, whatever a run has recorded; each can be told in words."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from cnnviz.diagnosis import Bars, Images, Lines, Series, diagnose
from cnnviz.diagnosis.evidence import Histogram
from cnnviz.figures.finding import MAX_LABELS, alt, bars, images_html, lines
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.figures.report import WIDTH
from cnnviz.figures.report.diagnosis import bars_svg, html_report, lines_svg
from tests.diagnosis.evidence import healthy

STEPS = (1.0, 2.0, 3.0)
LOSS = Lines(
    "Loss",
    (Series("training", STEPS, (2.3, None, math.inf)), Series("test", STEPS, (2.3, 2.0, 0.0), dashed=True)),
    y_label="loss",
    reference=("ln 10", math.log(10)),
)
ANSWERS = Bars("Answers", ("cat", "dog"), {"answers": (0.75, 0.25)}, percent=True, marked=("cat",))


def test_training_and_test_of_one_thing_have_one_hue_and_are_told_apart_by_dashes() -> None:
    first, second = lines(LOSS)["data"]
    assert first["line"]["color"] == second["line"]["color"] == COMPARED[0].light
    assert (first["line"]["dash"], second["line"]["dash"]) == ("solid", "dash")


def test_what_is_no_number_or_has_no_place_on_the_axis_is_a_gap() -> None:
    assert np.isnan(lines(LOSS)["data"][0]["y"]).tolist() == [False, True, True]
    logarithmic = Lines("L", LOSS.series, logarithmic=True)
    assert np.isnan(lines(logarithmic)["data"][1]["y"]).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("values", "still"), [((2.30, 2.31, 2.29), True), ((2.3, 1.2, 0.9), False), ((math.nan, math.inf), False)]
)
def test_what_stands_still_at_a_level_is_drawn_from_zero_on(values: tuple[float, ...], still: bool) -> None:
    beside = Lines("Loss", (Series("training", STEPS[: len(values)], values),), reference=("ln 10", 2.3))
    assert (lines(beside)["layout"]["yaxis"]["rangemode"] == "tozero") == still
    alone = replace(beside, reference=None)
    assert lines(alone)["layout"]["yaxis"]["rangemode"] is None


def test_many_lines_have_as_many_colours() -> None:
    many = Lines("Layers", tuple(Series(f"layer {i}", STEPS, (1.0, 2.0, 3.0)) for i in range(9)))
    colours = [trace["line"]["color"] for trace in lines(many)["data"]]
    assert len(set(colours)) == 9


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_level_stands_at_its_value(logarithmic: bool) -> None:
    picture = Bars(
        "B", ("a", "b"), {"s": (0.1, 10.0)}, logarithmic=logarithmic, reference=("one hundred", 100.0)
    )
    layout = bars(picture)["layout"]
    assert layout["shapes"][0]["y0"] == 100.0
    assert layout["annotations"][0]["y"] == (2.0 if logarithmic else 100.0)
    assert layout["annotations"][0]["text"] == "one hundred"


def test_what_a_finding_is_about_stands_out() -> None:
    figure = bars(ANSWERS)
    strong, faint = figure["data"][0]["marker"]["opacity"]
    assert strong == 1 > faint
    assert figure["layout"]["xaxis"]["ticktext"] == ("<b>cat</b>", "dog")


def test_a_bar_needs_a_zero_so_a_logarithmic_axis_has_points() -> None:
    picture = Bars("Spread", ("conv1", "fc1"), {"spread": (1.0, 0.0)}, logarithmic=True, marked=("fc1",))
    trace = bars(picture)["data"][0]
    assert (trace["type"], trace["mode"]) == ("scatter", "lines+markers")
    assert math.isnan(trace["y"][1])
    assert bars(ANSWERS)["data"][0]["type"] == "bar"


@pytest.mark.parametrize(
    ("values", "step"), [((1e-9, 1.0), 2), ((0.01, 1.0), 1), ((0.5, 1.0), None), ((None, None), None)]
)
def test_a_logarithmic_axis_is_marked_by_powers_of_ten_where_there_are_some(
    values: tuple[float | None, ...], step: int | None
) -> None:
    bar = bars(Bars("B", ("a", "b"), {"s": values}, logarithmic=True))
    line = lines(Lines("L", (Series("s", (1.0, 2.0), values),), logarithmic=True))
    assert [figure["layout"]["yaxis"]["dtick"] for figure in (bar, line)] == [step, step]


def test_of_very_many_names_some_are_written_and_all_can_be_pointed_at() -> None:
    names = tuple(f"layer{i}" for i in range(150))
    figure = bars(Bars("Many", names, {"zeros": (0.5,) * 150}))
    assert len(figure["layout"]["xaxis"]["ticktext"]) <= MAX_LABELS
    assert figure["data"][0]["customdata"] == names


def test_images_are_escaped() -> None:
    html = images_html(Images("Twins", (("AAAA", "<b>cat</b> & dog"),)))
    assert "&lt;b&gt;cat&lt;/b&gt; &amp; dog" in html
    assert "base64,AAAA" in html


def test_words_are_the_rules_own_or_made_of_the_numbers() -> None:
    assert alt(LOSS) == "Loss. Curves over step; last values: training 2.3, test 0."
    assert alt(ANSWERS) == "Answers. answers is highest at cat (75.0 %)."
    assert alt(Images("Twins", (("AAAA", "in both"),))) == "Twins. Images: in both."
    assert alt(Bars("B", ("a",), {"s": (None,)}, alt="As told.")) == "B. As told."
    assert alt(Bars("B", ("a",), {"s": (None,)})) == "B. Nothing was measured."


def numbers_of(svg: str) -> list[float]:
    return [float(result) for result in re.findall(r"(?<=[\"ML ])-?\d+\.\d(?=[\"ML H])", svg)]


PICTURES = [
    LOSS,
    ANSWERS,
    Lines("L", LOSS.series, logarithmic=True),
    Bars("Spread", ("conv1", "fc1"), {"a": (1.0, 0.0), "b": (1e-8, 3.0)}, logarithmic=True),
    Bars("Below", ("a", "b"), {"change": (-1.0, 2.0)}, reference=("aim", 4.0)),
    Bars("Level", ("a",), {"s": (1.0,)}),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.title)
def test_as_svg_everything_lies_inside_the_frame(picture: Lines | Bars) -> None:
    drawn = lines_svg(picture) if isinstance(picture, Lines) else bars_svg(picture)
    ElementTree.fromstring(drawn)
    assert "nan" not in drawn
    assert "None" not in drawn
    result = numbers_of(drawn)
    assert result
    assert min(result) >= 0
    assert max(result) <= WIDTH


def test_as_svg_what_was_never_measured_is_nothing() -> None:
    assert bars_svg(Bars("B", ("a",), {"s": (None,)})) == ""
    assert lines_svg(Lines("L", (Series("s", (1.0,), (math.nan,)),))) == ""


def test_a_report_holds_all_of_a_diagnosis_and_asks_nobody_for_anything() -> None:
    answers = (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)
    evidence = healthy(predicted={"test": answers}, title="<i>mine</i>", error="It ended.")
    report = html_report(evidence, diagnose(evidence))
    for words in ("&lt;i&gt;mine&lt;/i&gt;", "100 % of the images", "It ended.", "<svg", "ln 10 = 2.303"):
        assert words in report
    assert "<i>mine" not in report
    assert not re.search(r"(src|href)=\"(?!data:)", report)
