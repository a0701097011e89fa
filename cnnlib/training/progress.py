"""A status line for somebody who watches, and nothing at all in outputs that are kept."""

from __future__ import annotations

import os
import sys


def watched() -> bool:
    """Is this a terminal, or a notebook that a person has open rather than one that a program executes?"""
    if sys.stdout is not None and sys.stdout.isatty():
        return True
    kaggle = os.environ.get("KAGGLE_KERNEL_RUN_TYPE") == "Interactive"
    jupyter = "JPY_SESSION_NAME" in os.environ  # set for kernels that a Jupyter server starts for its pages
    return kaggle or jupyter or "google.colab" in sys.modules


def say(text: str) -> None:
    """Put ``text`` in place of the line before; an empty text clears it."""
    print(f"\r{text:<40}", end="" if text else "\r", flush=True)
