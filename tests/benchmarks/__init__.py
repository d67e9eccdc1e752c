"""Tests of the parts of benchmarks that compute what is told."""
