"""`python -m cnnviz`: what the app does, without a browser."""

import sys

from cnnviz.cli.app import main

sys.exit(main())
