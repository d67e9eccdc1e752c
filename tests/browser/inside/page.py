"""The mosaic and the drawing pad on known values, without a network."""

import io

import numpy as np
import streamlit as st
from PIL import Image

from cnnviz.analysis.types import ReceptiveField
from cnnviz.interpret.mosaic import flag_channels, limits
from cnnviz.ui.components.digits import drawing_pad
from cnnviz.ui.components.feature_maps import MosaicView, feature_mosaic, mosaic_packet

CHANNELS, HEIGHT, WIDTH = 10, 6, 8
FIELD = ReceptiveField(size=(5, 5), jump=(2, 2), start=(-1, -1))


def view() -> MosaicView:
    """Map k holds k + y/10 + x/100; map 3 is dead, map 4 holds no number in one cell."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    maps = (np.arange(CHANNELS)[:, None, None] + y / 10 + x / 100).astype(np.float32)
    maps[3] = 0
    maps[4, 0, 0] = np.nan
    picture = np.random.default_rng(0).integers(0, 255, (12, 16, 1)).astype(np.uint8)
    low, high = limits(maps, "layer")
    order = np.array([7, 0, 1, 2, 3, 4, 5, 6, 8, 9])
    return MosaicView(
        "conv1", maps, order, low, high, False, flag_channels(maps), "net-conv1", picture, FIELD
    )


st.set_page_config(layout="wide")
st.title("Inside")
left, right = st.columns([0.7, 0.3])
with left:
    picked = st.session_state.get("picked")
    feature_mosaic(
        mosaic_packet(view()), key="mosaic", on_select=lambda channel: st.session_state.update(picked=channel)
    )
    st.text(f"picked {picked}")
with right:
    drawn = drawing_pad(key="pad")
    if drawn:
        ink = np.asarray(Image.open(io.BytesIO(drawn)).convert("L"))
        rows = np.flatnonzero(ink.max(1) > 128)
        st.text(f"ink from {rows[0]} to {rows[-1]} of {len(ink)}, {int((ink > 128).sum())} pixels")
    else:
        st.text("nothing drawn")
