"""The rules, one file a cause or a few that share evidence; each is found by itself, in packages too."""
