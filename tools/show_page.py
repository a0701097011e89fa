"""Say where the built book is, and open it if there is a screen."""

import os
import sys
import webbrowser
from pathlib import Path

INDEX = Path(__file__).resolve().parents[1] / "_build" / "html" / "index.html"


def has_screen():
    if os.environ.get("CI"):
        return False
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


if __name__ == "__main__":
    print(f"The book: {INDEX}")
    if has_screen():
        webbrowser.open(INDEX.as_uri())
