"""Tests of the run database, on SQLite and PostgreSQL."""
