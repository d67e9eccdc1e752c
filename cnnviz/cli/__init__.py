"""The command line: `python -m cnnviz COMMAND`. One file a command, found by itself."""
