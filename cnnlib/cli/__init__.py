"""The command line: words go in, a table or a sentence comes out, and an exit code."""

from cnnlib.cli.commands import main

__all__ = ["main"]
