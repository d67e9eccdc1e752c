"""Figures from plain data, without Streamlit, so that notebooks, command line and reports use them too."""
