"""`python -m cnnviz`: what the app does, without a browser."""

import sys
import warnings

from cnnviz.cli.app import main

if not sys.warnoptions:
    # What libraries warn their callers of is not for the user of a command; tests see it, and so does -W.
    warnings.simplefilter("ignore")
sys.exit(main())
