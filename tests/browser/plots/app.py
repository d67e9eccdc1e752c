"""An app with nothing but figures, for the tests of the component that shows them."""

import streamlit as st

from cnnviz.ui.components.plot import ROUTE

app = st.App("page.py", routes=[ROUTE])
