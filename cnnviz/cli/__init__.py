"""Command line: `python -m cnnviz COMMAND`. One file per command or group, discovered automatically."""
