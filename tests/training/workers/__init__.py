"""The supervisor, its workers, and runs that are killed."""
