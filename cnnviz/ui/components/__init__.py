"""Custom Streamlit components: Python wrappers beside their JavaScript and CSS."""
