"""The lesson: the step in the address, and every number that its answers state, recomputed."""

import math
import re
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.analysis import analyze, overview
from cnnviz.ui.shared import lesson
from tests.browser.server import ROOT
from tests.pages.runner import links, open_page, said

FACTS = {entry.name: entry for entry in overview()}


def test_the_parameters_of_a_convolution() -> None:
    conv1 = analyze("lenet5").row("conv1")
    answer = lesson.STEPS[0].answer
    assert f"{conv1.params} parameters" in answer
    assert conv1.params == 6 * (5 * 5 + 1)


def test_where_alexnets_parameters_sit() -> None:
    net, facts = analyze("alexnet-cifar10"), FACTS["alexnet-cifar10"]
    fc1, step = net.row("fc1"), lesson.STEPS[1]
    conv_macs = sum(row.macs for row in net.rows if row.kind == "conv")
    assert f"{fc1.params:,} parameters, {100 * fc1.params / facts.params:.0f} % of all" in step.answer
    assert f"layers hold {100 * facts.fc_params / facts.params:.0f} %" in step.answer
    assert f"{100 * conv_macs / facts.macs:.0f} % of the multiply-adds" in step.answer
    assert f"{facts.params / 1e6:.1f} million" in step.question


def test_chance_level() -> None:
    assert f"ln 10 ≈ {math.log(10):.3f}" in lesson.STEPS[3].answer


def test_who_has_and_who_does_the_most() -> None:
    answer, named = lesson.STEPS[5].answer, lesson.STEPS[5].state["models"].split(",")
    most, busiest = (max(named, key=lambda n: getattr(FACTS[n], what)) for what in ("params", "macs"))
    assert (most, busiest) == ("alexnet-cifar10", "googlenet-32")
    assert f"{FACTS[most].params / 1e6:.1f} M" in answer
    assert f"{FACTS[busiest].params / 1e6:.2f} M" in answer
    assert round(FACTS[most].params / FACTS[busiest].params) == 10
    assert f"{FACTS[busiest].macs / 1e9:.2f} GMAC against {FACTS[most].macs / 1e9:.2f}" in answer
    assert f"{FACTS['resnet18-32'].macs / 1e6:.0f} MMAC" in answer


@given(st.text(max_size=20) | st.integers().map(str))
def test_any_step_at_all_is_read_or_refused(text: str) -> None:
    number, problem = lesson.read(text)
    assert (number is None) != (problem is None)
    assert number is None or 1 <= number <= len(lesson.STEPS)


@pytest.mark.parametrize("number", range(1, len(lesson.STEPS) + 1))
def test_a_step_shows_its_question_and_the_ways_back_and_on(number: int) -> None:
    step = lesson.STEPS[number - 1]
    app = open_page(step.page, **step.state, lesson=str(number))
    assert f"step {number} of {len(lesson.STEPS)}: {step.title}" in said(app)
    assert step.question in said(app)
    assert step.answer in said(app)
    shown = links(app)
    for label, to in (("Back", number - 1), ("Next", number + 1)):
        if 1 <= to <= len(lesson.STEPS):
            assert shown[label] == {**lesson.STEPS[to - 1].state, "lesson": str(to)}
        else:
            assert label not in shown
    assert "lesson" not in shown["End the lesson"]
    assert "Back to the page of this step" not in shown
    assert not app.warning


def test_elsewhere_it_leads_back_and_goes_along() -> None:
    app = open_page("build", lesson="2")
    assert links(app)["Back to the page of this step"] == {**lesson.STEPS[1].state, "lesson": "2"}
    assert links(app)["Train"]["lesson"] == "2"


def test_a_step_that_there_is_not_is_said() -> None:
    app = open_page("build", lesson="7")
    assert "only a step from 1 to 6" in said(app)
    assert "Next" not in links(app)


def test_the_plan_for_teachers_has_every_step_and_ninety_minutes() -> None:
    plan = (ROOT / "docs" / "lesson.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*?) \| ?(.*?) ?\|$", plan, flags=re.MULTILINE)
    assert sum(int(minutes) for minutes, _, _ in rows) == 90
    for number, step in enumerate(lesson.STEPS, start=1):
        query = urlencode({**step.state, "lesson": number}, safe=":,")
        assert f"| {number}. {step.title} | `/{step.page}?{query}` |" in plan
        assert step.question in " ".join(plan.split())
