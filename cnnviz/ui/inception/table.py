"""The branches of a block as CSV."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found.branches:
        branch = one.branch
        writer.writerow(
            (branch.name, branch.title, branch.kernel, branch.first, branch.channels, branch.params,
             branch.macs, one.activity, one.share, one.zeros)
        )  # fmt: skip
    return text.getvalue()
