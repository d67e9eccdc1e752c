"""The rules, one file a cause or a few that share their evidence. Each is found by itself."""
