"""An experiment's answer: the verdict, the picture, the table, and what else there is to know."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.experiments import Result
from cnnviz.experiments.table import HEAD, cells, verdict_lines
from cnnviz.figures.experiment import experiment as picture
from cnnviz.figures.experiment import experiment_alt, height, hue
from cnnviz.ui import chrome, notice
from cnnviz.ui.components.follow import follow
from cnnviz.ui.components.plot import plot
from cnnviz.ui.experiments.chosen import Chosen
from cnnviz.ui.runs.picks import once

COMPARED = 4
"""Runs that the Runs page lays over one another."""
HELP = dict(
    zip(
        HEAD,
        (
            "What was tried.",
            "Runs that finished.",
            "Mean over the seeds, after the last epoch, not the best one.",
            "Mean of the paired differences to the base, in percentage points, with its 95 % interval.",
            "Mean training accuracy over the last epoch, with dropout and augmentation at work.",
            "Values that training changes.",
            "Mean time in training.",
        ),
        strict=True,
    )
)


def verdict(result: Result) -> None:
    """Draw the question and its answer."""
    lines = verdict_lines(result)
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    asked = f"{result.question} Against “{result.arms[0].name}”:"
    st.html(f'<div class="experiment-verdict"><span>{escape(asked)}</span>{told}</div>')


def evidence(chosen: Chosen, result: Result) -> None:
    """Draw picture, table and notes."""
    picked = plot(
        picture(result), key=f"experiment-{chosen.key}", height=height(result), alt=experiment_alt(result),
        name=f"experiment-{chosen.key}", picks=chosen.stored is not None,
    )  # fmt: skip
    told = once("experiment", picked)
    if told is not None and told["customdata"] and told["customdata"][0]:
        run = str(told["customdata"][0])
        follow("runs", f"See run {run}", run=run)
    table(result)
    for note in result.notes:
        st.caption(notice.plain(note))


def table(result: Result) -> None:
    """Draw the arms, a line each, and what each changes."""
    head, lines = cells(result)
    heads = "".join(f'<th scope="col" title="{escape(HELP[name])}">{escape(name)}</th>' for name in head)
    rows = "".join(
        f'<tr><th scope="row"><i style="background:{hue(place).css}"></i>{escape(line[0])}'
        f"<small>{escape(arm.changes or 'the base')}</small></th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
        + "</tr>"
        for place, (arm, line) in enumerate(zip(result.arms, lines, strict=True))
    )
    st.html(
        '<div class="experiment-table" tabindex="0" role="region" aria-label="The arms in figures"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def runs_link(result: Result) -> None:
    """Draw the link to the runs, those of one seed side by side."""
    first = [arm.outcomes[0].run for arm in result.arms if arm.outcomes[0].run is not None]
    if first:
        chrome.link(
            "runs",
            "Its runs side by side",
            icon=":material/table_rows:",
            tag=f"experiment {result.id}",
            runs=",".join(map(str, first[:COMPARED])),
        )
