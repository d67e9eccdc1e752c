"""Entry point of `cnnviz` and `python -m cnnviz`: the command line, which also starts the app."""

import sys
import warnings

from cnnviz.cli import main


def run() -> int:
    """Run the command line of this process and return its exit code."""
    if not sys.warnoptions:
        # Warnings of libraries are for developers, not for users of a command; tests and -W still show them.
        warnings.simplefilter("ignore")
    return main()


if __name__ == "__main__":
    sys.exit(run())
