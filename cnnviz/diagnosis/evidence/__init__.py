"""Evidence: what is known of a run, from its database, and what follows from it by arithmetic."""
