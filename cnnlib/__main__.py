"""``python -m cnnlib`` is the command ``cnnlib``."""

import sys

from cnnlib.cli import commands

sys.exit(main())
