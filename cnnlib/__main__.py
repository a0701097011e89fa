"""``python -m cnnlib`` is the command ``cnnlib``."""

import sys

from cnnlib.cli import main

sys.exit(main())
