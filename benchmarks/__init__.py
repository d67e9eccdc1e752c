"""Measurements that print a table: seconds, ratios, hardware, versions, n. Not part of the tests."""
