"""Model data of the pages, computed once: analyses, the overview of all models, and headline figures.

Both are immutable, so they are shared by all visitors without copying (`st.cache_resource`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import models
from cnnviz.analysis.checks import Problem
from cnnviz.analysis.types import KIND_TITLES, Analysis, Kind, depth
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.ui.shared import notice, startup
from cnnviz.ui.shared.url_state import Selection, quoted, read, size_text

if TYPE_CHECKING:
    from cnnviz.analysis import Overview

KEPT = 48
"""Analyses kept in memory; the largest takes some megabytes."""


@dataclass(frozen=True)
class ShownModel:
    """The model that a page shows: the selection, after fallbacks for what is invalid, and its analysis."""

    selection: Selection
    analysis: Analysis

    @property
    def batch(self) -> int:
        """Batch size for the memory figures."""
        return self.selection.batch


@st.cache_resource(max_entries=1, show_spinner=False)
def overview() -> dict[str, Overview]:
    """Return the facts of every registered model in its default form, by name."""
    from cnnviz.analysis import overview as facts

    return {entry.name: entry for entry in facts()}


def analysis_of(selection: Selection) -> Analysis:
    """Return the analysis of the selected model.

    Raises:
        ValueError: The model cannot be analyzed as selected; the message is one sentence.
    """
    options = json.dumps(dict(selection.options), sort_keys=True)
    spec = selection.spec
    return _analysis(spec.name, _edition(spec), selection.classes, selection.size, options)


def shown_model(selection: Selection) -> ShownModel:
    """Return the selected model, or the nearest fallback that can be analyzed, with the reason."""
    error = ""
    for candidate in _fallbacks(selection):
        try:
            analysis = analysis_of(candidate)
        except ValueError as problem:
            error = error or str(problem)
            continue
        if candidate.spec.name.startswith("torchvision/"):
            startup.import_after_page("torchvision")
        problems = [f"{error} {_fallback_text(candidate, analysis)}"] if error else []
        return ShownModel(_with_known_layer(candidate, analysis, problems), analysis)
    return _default_instead(selection, error)


def _default_instead(selection: Selection, error: str) -> ShownModel:
    """Return the default model in place of one that cannot be analyzed even in its default form."""
    default = read({})
    if selection.spec == default.spec:
        raise RuntimeError(f"The default model cannot be analyzed: {error}")
    sentence = f"{selection.spec.title} cannot be analyzed: {error} {default.spec.title} is shown instead."
    return shown_model(replace(default, batch=selection.batch, problems=(*selection.problems, sentence)))


def _fallbacks(selection: Selection) -> Iterator[Selection]:
    """Yield the selection, then it with default size, with default classes and options, with all defaults."""
    own_size = replace(selection, size=None)
    own_rest = replace(selection, classes=None, options={})
    for candidate in (selection, own_size, own_rest, replace(own_rest, size=None)):
        if candidate is selection or candidate != selection:
            yield candidate


def _fallback_text(shown: Selection, analysis: Analysis) -> str:
    """Describe a fallback in a sentence."""
    _, height, width = analysis.input_shape
    classes = f"{analysis.classes:,} class{'' if analysis.classes == 1 else 'es'}"
    options = ", with the options chosen" if shown.options else ""
    return f"Shown instead: {classes} on an input of {size_text((height, width))}{options}."


def _with_known_layer(selection: Selection, analysis: Analysis, sentences: list[str]) -> Selection:
    """Return the selection with all problems, and the costliest layer if the selected one does not exist."""
    problems = [*selection.problems, *sentences]
    layer = selection.layer
    if layer is not None and all(row.name != layer for row in analysis.rows):
        problems.append(f"{analysis.title} has no layer {quoted(layer)}; its costliest is shown instead.")
        layer = None
    return replace(selection, layer=layer or costliest(analysis), problems=tuple(problems))


def costliest(analysis: Analysis) -> str:
    """Return the layer with the most multiply-adds, or parameters where no layer has multiply-adds."""
    return max(analysis.rows, key=lambda row: (row.macs, row.params)).name


def _edition(spec: models.ModelSpec) -> str:
    """Return a string that distinguishes models saved by the user under the same name."""
    if spec.source != "yours":
        return ""
    if spec.edition:
        return spec.edition
    layers = models.layer_list(spec)
    return layers.write() if layers is not None else ""


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _analysis(
    name: str, edition: str, classes: int | None, size: tuple[int, int] | None, options: str
) -> Analysis:
    from cnnviz.analysis import analyze

    chosen: dict[str, Any] = json.loads(options)
    return analyze(name, input_size=size, num_classes=classes, options=chosen)


def torchinfo_of(selection: Selection, batch: int) -> tuple[str, tuple[str, ...]]:
    """Return torchinfo's table of the selected model, and how it differs from ours.

    Raises:
        ValueError: torchinfo cannot process the model.
    """
    options = json.dumps(dict(selection.options), sort_keys=True)
    spec = selection.spec
    return _torchinfo(spec.name, _edition(spec), selection.classes, selection.size, options, batch)


@st.cache_data(max_entries=16, show_spinner="torchinfo follows the forward pass …")
def _torchinfo(
    name: str, edition: str, classes: int | None, size: tuple[int, int] | None, options: str, batch: int
) -> tuple[str, tuple[str, ...]]:
    from cnnviz.analysis.export import torchinfo_table

    chosen: dict[str, Any] = json.loads(options)
    table = torchinfo_table(name, _analysis(name, edition, classes, size, options), chosen, batch)
    return table.text, table.differences


# Problems from the static checks: errors and warnings as boxes, notes as captions.

MAX_BOXES = 4
"""Maximum number of boxes; the remaining problems are counted, so that a page stays readable."""


def problem_boxes(problems: Sequence[Problem], *, notes: bool = True) -> None:
    """Draw a box for each error and warning, and a caption for each note if `notes`."""
    loud = [problem for problem in problems if problem.severity != "note"]
    for problem in loud[:MAX_BOXES]:
        title, *rest = map(notice.escape, (problem.title, problem.message, problem.fix))
        text = f"**{title}.** {' '.join(rest)}"
        if problem.severity == "error":
            st.error(text, icon=":material/error:")
        else:
            st.warning(text, icon=":material/warning:")
    if len(loud) > MAX_BOXES:
        st.caption(f"And {len(loud) - MAX_BOXES} more; `cnnviz check` lists them all.")
    for problem in [problem for problem in problems if problem.severity == "note"] if notes else []:
        st.caption(f":material/info: {notice.escape(problem.message)} {notice.escape(problem.fix)}")


CSS = Path(__file__).with_name("model_summary.css")
SPLIT: tuple[Kind, ...] = ("conv", "fc", "attention", "recurrent", "norm", "other")
MIN_LABELED_SHARE = 0.05
"""Minimum share that gets a label in the split; smaller ones have a tooltip."""


def headline(current: ShownModel) -> None:
    """Draw the headline figures, and the split of parameters and multiply-adds by layer kind."""
    st.html(f"<style>:root {{ {kind_variables()} }}</style>")
    st.html(CSS)
    spec = current.selection.spec
    origin = " · ".join(escape(part) for part in (str(spec.year or ""), spec.paper) if part)
    st.html(f'<p class="about" title="{origin}">{escape(spec.summary)}</p>')
    figures = "".join(_figure(*figure) for figure in headline_figures(current.analysis, current.batch))
    st.html(f'<div class="headline"><div class="figures">{figures}</div>{_splits(current.analysis)}</div>')


def headline_figures(analysis: Analysis, batch: int) -> list[tuple[str, str, str]]:
    """Return the headline figures as (value, label, exact value in words)."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    weights = sum(1 for row in analysis.rows if row.params)
    return [
        (
            numbers.short(analysis.total_params),
            "parameters",
            f"{analysis.total_params:,} parameters, {analysis.trainable_params:,} of them trainable",
        ),
        (
            numbers.macs(analysis.macs),
            "for one image",
            f"{analysis.macs:,} multiply-adds: products of convolutions, linear layers and attention",
        ),
        (
            numbers.mib(analysis.parameter_bytes),
            "of parameters",
            f"{analysis.parameter_bytes:,} bytes at 4 a parameter",
        ),
        (
            numbers.mib(analysis.training_bytes(batch)),
            f"activation memory, {images}",
            "Every value written going forward, and a gradient for each going back, at 4 bytes",
        ),
        (
            numbers.exact(depth(analysis)),
            "depth (weight layers)",
            "Convolutions, fully connected layers and attention on the longest path; "
            f"{weights} of {len(analysis.rows)} rows in the table hold weights",
        ),
    ]


def _figure(value: str, label: str, exact: str) -> str:
    return f'<div class="figure" title="{escape(exact)}"><b>{value}</b><span>{escape(label)}</span></div>'


def shares(analysis: Analysis, of: str) -> list[tuple[Kind, float]]:
    """Return the split of `parameters` or `arithmetic` by layer kind, as fractions that sum to 1."""
    amounts: dict[Kind, int] = dict.fromkeys(SPLIT, 0)
    for row in analysis.rows if of == "parameters" else analysis.predicting:
        kind: Kind = row.kind if row.kind in amounts else "other"
        amounts[kind] += row.params if of == "parameters" else row.macs
    total = sum(amounts.values())
    return [(kind, amount / total) for kind, amount in amounts.items() if amount]


def _splits(analysis: Analysis) -> str:
    return f'<div class="splits">{_split(analysis, "parameters")}{_split(analysis, "compute")}</div>'


def _split(analysis: Analysis, of: str) -> str:
    split = shares(analysis, of)
    words = ", ".join(f"{KIND_TITLES[kind]} {numbers.percent(share, 1)}" for kind, share in split)
    parts = "".join(
        f'<span class="part {kind}" style="flex:{max(share, 0.002):.4f}; background:var(--kind-{kind})" '
        f'title="{KIND_TITLES[kind]}: {numbers.percent(share, 1)} of the {of}">'
        f"{_share_label(kind, share)}</span>"
        for kind, share in split
    )
    return (
        f'<div class="split"><span class="of">{of}</span>'
        f'<div class="bar" role="img" aria-label="{of}: {words or "none"}">{parts}</div></div>'
    )


def _share_label(kind: Kind, share: float) -> str:
    if share < MIN_LABELED_SHARE:
        return ""
    name = f"<i>{KIND_TITLES[kind]}</i>" if share >= 0.3 else ""
    return f"<b>{numbers.percent(share)}</b>{name}"
