"""`cnnviz`, or `python -m cnnviz`: what the app does, without a browser, and the app itself."""

import sys
import warnings

from cnnviz.cli.app import main


def run() -> int:
    """Run the process's own command line and return its exit code."""
    if not sys.warnoptions:
        # What libraries warn their callers of is not for the user of a command; tests see it, and so does -W.
        warnings.simplefilter("ignore")
    return main()


if __name__ == "__main__":
    sys.exit(run())
