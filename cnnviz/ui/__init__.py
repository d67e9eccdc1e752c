"""User interface in Streamlit: pages, the parts they share, and custom components."""
