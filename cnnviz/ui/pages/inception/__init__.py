"""Parts of the Inception page."""
