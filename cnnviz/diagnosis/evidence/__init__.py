"""Evidence: what is known of a run from its database, and statistics derived from it."""
