"""A small app for the tests of figures."""
