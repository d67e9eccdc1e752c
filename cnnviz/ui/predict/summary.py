"""The networks compared: how much is right, how fast they answer, what memory they take."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.measures import MISSING
from cnnviz.figures.palette import COMPARED
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.predict.judged import Judged

HEADINGS = {
    "right": "Of the pictures whose true class is known, how many were answered with it.",
    "pictures/s": "Pictures answered a second in this batch, decoding left out.",
    "one alone": "Time for one picture by itself, on this machine, as busy as it is.",
    "parameters": "Weights that were learned.",
    "weights": "Memory of parameters and buffers.",
    "working": "The most memory that one picture's values take at once, beside the weights.",
}


def summary(judged: Judged) -> None:
    """Draw a line a network, and how often they agree."""
    known = [name for name in HEADINGS if judged.told or name != "right"]
    head = "".join(f'<th title="{escape(HEADINGS[name])}">{name}</th>' for name in known)
    rows = "".join(_row(judged, place, known) for place in range(len(judged.job.networks)))
    st.html(f'<div class="wide"><table class="costs"><tr><th></th>{head}</tr>{rows}</table></div>')
    agreed = [one for one in judged.agree if one is not None]
    if agreed:
        same = numbers.percent(sum(agreed) / len(agreed), 1)
        st.caption(f"They agree on {sum(agreed):,} of {len(agreed):,} pictures ({same}).")
    for evaluation, network in zip(judged.evaluations, judged.job.networks, strict=True):
        _strangers(evaluation.unknown, network)


def _row(judged: Judged, place: int, known: list[str]) -> str:
    network = judged.job.networks[place]
    facts = _facts(judged, place)
    hue = f'<i style="background:{COMPARED[place].css}"></i>'
    cells = "".join(f"<td>{facts[name]}</td>" for name in known)
    return f"<tr><th>{hue}{escape(network.loaded.name)}</th>{cells}</tr>"


def _facts(judged: Judged, place: int) -> dict[str, str]:
    job, network, evaluation = judged.job, judged.job.networks[place], judged.evaluations[place]
    cost = job.costs.get(network.reference)
    spent = job.seconds[network.reference]
    accuracy = evaluation.accuracy
    return {
        "right": MISSING
        if accuracy is None
        else f"{numbers.percent(accuracy, 1)} <small>{evaluation.right:,} of {evaluation.counted:,}</small>",
        "pictures/s": numbers.significant(judged.count / spent) if spent and judged.count else MISSING,
        "one alone": MISSING if cost is None else f"{numbers.significant(1e3 * cost.seconds)} ms",
        "parameters": numbers.short(sum(p.numel() for p in network.loaded.model.parameters())),
        "weights": MISSING if cost is None else numbers.mib(cost.weight_bytes),
        "working": MISSING if cost is None else numbers.mib(cost.working_bytes),
    }


def _strangers(unknown: tuple[str, ...], network: Network) -> None:
    if not unknown:
        return
    from cnnviz.ui import notice

    some = ", ".join(unknown[:8]) + (" …" if len(unknown) > 8 else "")
    words = f"{network.loaded.name} has no class called {some}; pictures of those are not counted for it."
    st.caption(notice.plain(words))
