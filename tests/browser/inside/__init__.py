"""A small app for the tests of the components that look inside a network."""
