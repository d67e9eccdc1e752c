"""Streamlit components of our own: Python beside the JavaScript and CSS that it mounts."""
