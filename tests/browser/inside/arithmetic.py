"""One layer's arithmetic, by the address: `?model=lenet5&layer=conv2&limit=…`; fresh weights."""

import streamlit as st

from cnnviz.interpret.arithmetic import inspect
from cnnviz.ui.components.feature_maps import ArithmeticView, arithmetic_packet, layer_arithmetic
from tests.browser.inside.networks import network

asked = st.query_params
model, image = network(asked.get("model", "lenet5"))
seen = inspect(model, image, asked.get("layer", "conv2"))
place = st.session_state.setdefault("place", [int(asked.get("channel", 0)), 0, 0])
payload = seen.payload(place[0], int(asked.get("limit", 16_000_000)))
working = seen.at(*place) if payload.scope == "cell" else None
st.set_page_config(layout="wide")
st.title("Arithmetic")
layer_arithmetic(
    arithmetic_packet(
        ArithmeticView(
            payload, place[0], "working", (place[1], place[2]) if any(place[1:]) else None, working
        )
    ),
    key="arithmetic",
    on_ask=lambda *where: st.session_state.update(place=list(where)),
)
