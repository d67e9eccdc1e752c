"""Tests of cnnviz.diagnosis."""
