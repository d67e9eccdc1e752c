"""Parts of the Attribution page."""
