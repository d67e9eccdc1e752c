"""Parts of the teacher's Class page."""
