"""The tests: they mirror cnnviz/; pages/ runs every page, browser/ drives a real Chromium."""
