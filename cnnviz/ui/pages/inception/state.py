"""URL state of the Inception page: block, view, ablated branches, slider values."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.analysis.bottleneck import ARTICLE, Reduction
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.url_state import change_without_model, quoted

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

PREFERRED = (
    "small-googlenet-32",
    "googlenet-32",
    "small-googlenet-32-aux",
    "googlenet",
    "googlenet-aux",
)
"""Models with inception blocks, for a URL without one; the first is used with fresh weights if need be."""
BRANCHES = ("1x1", "3x3", "5x5", "pool")
"""Names of a block's branches in the URL."""
VIEWS = {
    "branches": ":material/call_split: Branches",
    "classes": ":material/category: Which class",
    "reduction": ":material/compress: 1×1 bottleneck",
    "auxiliary": ":material/alt_route: Auxiliary classifiers",
}
MAX_REDUCTION = Reduction(channels=2048, reduction=512, maps=1024, kernel=5, side=224)
"""Maximum values of the sliders."""
KERNELS = (3, 5)


@dataclass(frozen=True)
class PageState:
    """URL state of the page."""

    block: Block | None
    """None if the network has no inception blocks."""
    view: str
    dropped: tuple[int, ...]
    """Indices of the ablated branches within a block, ascending."""
    reduction: Reduction
    problems: tuple[str, ...]


def current(network: Network, blocks: tuple[Block, ...]) -> PageState:
    """Read the state from the page's URL; invalid parameters become problems."""
    problems: list[str] = []
    view, wrong = url_state.choice("view", tuple(VIEWS), "branches")
    problems += [wrong] if wrong else []
    return PageState(
        _block(network, blocks, problems),
        view if blocks else "reduction",
        _dropped(st.query_params.get("drop"), problems),
        read_reduction(st.query_params.get("reduce"), problems),
        tuple(problems),
    )


def _block(network: Network, blocks: tuple[Block, ...], problems: list[str]) -> Block | None:
    """Return the block that the selected layer is or belongs to; the first one for any other layer."""
    if not blocks:
        return None
    layer = st.query_params.get("layer")
    if layer is None or layer == url_state.ROOT:
        return blocks[0]
    for block in blocks:
        if layer == block.name or layer.startswith(f"{block.name}."):
            return block
    if all(row.name != layer for row in network.analysis.rows):
        problems.append(f"{network.loaded.name} has no layer {quoted(layer)}; its first block is shown.")
    return blocks[0]


def _dropped(text: str | None, problems: list[str]) -> tuple[int, ...]:
    names = [] if text is None else text.split(",")
    unknown = [name for name in names if name not in BRANCHES]
    if unknown:
        problems.append(f"There is no branch {quoted(unknown[0])}; there are {', '.join(BRANCHES)}.")
    return tuple(index for index, name in enumerate(BRANCHES) if name in names)


def read_reduction(text: str | None, problems: list[str]) -> Reduction:
    """Parse `channels-reduction-maps-kernel-side`; the article's values, with a problem, if it is invalid."""
    if text is None:
        return ARTICLE
    match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})-([0-9]{1,5})-([35])-([0-9]{1,5})", text)
    if match is not None:
        reduction = Reduction(*map(int, match.groups()))
        if all(
            1 <= value <= most for value, most in zip(astuple(reduction), astuple(MAX_REDUCTION), strict=True)
        ):
            return reduction
    problems.append(
        f"“reduce” cannot be {quoted(text)}, only channels, reduction, maps, kernel (3 or 5) and size such "
        f"as {reduction_text(ARTICLE)}, up to {reduction_text(MAX_REDUCTION)}; the article's are used."
    )
    return ARTICLE


def reduction_text(reduction: Reduction) -> str:
    """Format the slider values for the URL."""
    return "-".join(str(value) for value in astuple(reduction))


def choose_block(name: str) -> None:
    """Select a block, for use in callbacks."""
    change_without_model(layer=name, channel=None)


def drop(dropped: tuple[int, ...]) -> None:
    """Ablate these branches, for use in callbacks."""
    change_without_model(drop=",".join(BRANCHES[index] for index in sorted(dropped)) or None)


def reduce(reduction: Reduction) -> None:
    """Set the sliders, for use in callbacks."""
    change_without_model(reduce=None if reduction == ARTICLE else reduction_text(reduction))


def short(name: str) -> str:
    """Return a block's common short name: `4a`."""
    return name.removeprefix("inception").lstrip("_") or name
