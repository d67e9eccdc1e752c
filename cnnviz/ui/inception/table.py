"""The branches of a block as CSV."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.formats.csv_text import csv_text
from cnnviz.ui.inception.state import short
from cnnviz.ui.inside.weights import Network

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block, BlockLook

COLUMNS = (
    *("branch", "title", "kernel", "first_channel", "channels", "parameters", "multiply_adds"),
    *("mean_magnitude", "share_of_magnitude", "zeros"),
)


def download(network: Network, block: Block, found: BlockLook) -> None:
    """Draw the button."""
    name = f"{network.loaded.spec.name.replace('/', '-')}-{short(block.name)}-branches.csv"
    st.download_button(
        "Branches as CSV", partial(as_csv, found), name, "text/csv", key="inception-csv",
        icon=":material/download:", on_click="ignore", type="tertiary",
    )  # fmt: skip


def as_csv(found: BlockLook) -> str:
    """A line a branch, exact figures."""
    rows = (
        (one.branch.name, one.branch.title, one.branch.kernel, one.branch.first, one.branch.channels,
         one.branch.params, one.branch.macs, one.activity, one.share, one.zeros)
        for one in found.branches
    )  # fmt: skip
    return csv_text(COLUMNS, rows)
