"""The command line: words go in, a table or a sentence comes out, and an exit code: 2 for an error, told in one line."""

from cnnlib.cli.commands import main

__all__ = ["main"]
