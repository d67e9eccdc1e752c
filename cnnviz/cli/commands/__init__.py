"""One file a command; each defines `register(app)`, and each file here is found by itself."""
