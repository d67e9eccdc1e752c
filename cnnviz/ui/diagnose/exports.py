"""The diagnosis taken along: as JSON, or as one HTML file with its pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import orjson
import streamlit as st

if TYPE_CHECKING:
    from cnnviz.ui.diagnose.case import Case


def exports(case: Case) -> None:
    """Draw the menu. A file is written when it is asked for, not before."""
    with st.popover("Export", icon=":material/download:", key="diagnose-export", type="tertiary"):
        st.download_button(
            "Report (HTML)", partial(_html, case), f"diagnosis-{case.key}.html", "text/html",
            key="diagnose-html", help="One file with findings and pictures. Opens without a network.",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Diagnosis (JSON)", partial(_json, case), f"diagnosis-{case.key}.json", "application/json",
            key="diagnose-json", help="As `cnnviz diagnose --json` writes it.",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip


def _json(case: Case) -> bytes:
    return orjson.dumps(case.diagnosis.as_json(), option=orjson.OPT_INDENT_2)


def _html(case: Case) -> str:
    from cnnviz.figures.evidence.report import html_report

    return html_report(case.evidence, case.diagnosis)
