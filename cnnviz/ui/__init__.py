"""The Streamlit parts of cnnviz: what pages share."""
