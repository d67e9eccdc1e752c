"""Pages of the app, one folder each; none imports another."""
