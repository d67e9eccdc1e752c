"""A picture going in and its inside coming out: what a shipped network makes of a bundled picture.

It was taken from the network beforehand (`python -m cnnviz.ui.pages.start.inside.record`), so that the first
page needs no torch; a test takes it again.
"""

from __future__ import annotations

import functools
import json
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.shared.layout import link

WEIGHTS, SAMPLE = "small-googlenet-cifar10", "ship"
LAYERS = (
    "relu1",
    "inception_3a",
    "inception_3b",
    "inception_4a",
    "inception_4c",
    "inception_4e",
    "inception_5b",
)
"""From edges to meaning, as far as there is room."""
RECORDED = Path(__file__).with_name("recorded.json")
HERE = Path(__file__).parent


@functools.cache
def recorded() -> dict[str, Any]:
    """The picture, a strip of maps for each layer (PNG in base64, with what it is), and the answers."""
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def inside() -> None:
    """Draw the row, and the way to all of it."""
    told = recorded()
    figures = [_figure("input", told["input"], "what goes in", "32×32")]
    figures += [_figure("maps", one["png"], one["name"], one["shape"]) for one in told["layers"]]
    answers = "".join(
        f'<div class="answer"><span>{escape(name)}</span><i><s style="width:{100 * share:.1f}%"></s></i>'
        f"<b>{_percent(share)}</b></div>"
        for name, share in told["answers"]
    )
    best = told["answers"][0]
    alt = (
        f"A drawn ship, the three most active maps of {len(told['layers'])} layers, from edges to a few "
        f"bright cells, and the answer: {best[0]}, {_percent(best[1])}"
    )
    css = (HERE / "inside.css").read_text(encoding="utf-8")
    st.html(
        f'<style>{css}</style><div class="inside" role="img" aria-label="{escape(alt)}">{"".join(figures)}'
        f'<div class="answers">{answers}<p>what comes out</p></div></div>'
    )
    link(
        "features",
        "See every map inside, or take your own picture",
        icon=":material/visibility:",
        weights=f"checkpoint:{WEIGHTS}",
        picture=f"sample:{SAMPLE}",
        model=None,
        layer="inception_3a",
    )


def _figure(kind: str, png: str, name: str, shape: str) -> str:
    return (
        f'<figure class="{kind}"><img alt="" src="data:image/png;base64,{png}">'
        f"<figcaption>{escape(name)}<span>{escape(shape)}</span></figcaption></figure>"
    )


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else "> 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"
