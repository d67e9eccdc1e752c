"""The page one writes first: imports everything, builds the model, prints torchinfo's table. The baseline."""

import streamlit as st
import torchinfo
import torchvision

name = st.selectbox("Model", torchvision.models.list_models(module=torchvision.models))
st.header(name)
model = torchvision.models.get_model(name, weights=None).eval()
st.code(str(torchinfo.summary(model, input_size=(1, 3, 224, 224), verbose=0)))
