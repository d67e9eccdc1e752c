"""Figures from plain data: no Streamlit here, so that the command line and reports can draw them too."""
