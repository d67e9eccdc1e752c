"""What the pages that look inside begin with: a picture is chosen, and the network says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cnnviz.inference.picture import Picture
from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.ui import notice, url_state
from cnnviz.ui.inside.answers import answers, doubts
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import overrides
from cnnviz.ui.pictures.chooser import pad_is_empty, picture_chooser
from cnnviz.ui.pictures.chosen import chosen
from cnnviz.ui.pictures.prepared import Prepared, prepared
from cnnviz.ui.pictures.state import Asked


@dataclass(frozen=True, eq=False)
class Question:
    """A picture that a network was asked about."""

    which: Asked
    picture: Picture
    ready: Prepared
    """The picture as the network reads it."""
    own: Preprocessing
    """How the network's pictures go in where the URL changes nothing."""

    def to(self, network: Network) -> Prepared:
        """The picture as another network reads it."""
        return prepared(self.picture, fitting(network.loaded.preprocessing, self.which))


def question(network: Network, problems: Sequence[str]) -> Question:
    """Draw what is wrong in the URL (`problems` are the page's own), the pictures, and the answer."""
    which, picture, wrong = chosen(network)
    own = fitting(network.loaded.preprocessing, which)
    how, mismatch = overrides.read(st.query_params.get("prep"), own)
    said = [*url_state.current().problems, *network.problems, *problems, *wrong, *notice.kept()]
    notice.say([*said, mismatch] if mismatch else said)
    ready = prepared(picture, how)
    left, right = st.columns([0.68, 0.32], gap="large")
    with left:
        picture_chooser(network, which)
    with right:
        if pad_is_empty(which):
            below = "" if which.kind == "drawn" else f" Below: “{notice.plain(picture.name)}”."
            st.caption(f":material/draw: Nothing is drawn yet, so there is no answer.{below}")
        else:
            with st.spinner(f"{network.loaded.name} looks at the picture …"):
                answers(network, ready)
            doubts(network, picture, ready, own)
    return Question(which, picture, ready, own)


def fitting(own: Preprocessing, which: Asked) -> Preprocessing:
    """The network's own preprocessing; a digit that was drawn is centred as the digits it learned from."""
    return own.changed(centre=True) if which.kind == "drawn" and own.channels == 1 else own
