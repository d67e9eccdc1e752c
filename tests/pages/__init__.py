"""Every page, run by Streamlit without a browser."""
