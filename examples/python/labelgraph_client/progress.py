"""A progress bar, on a terminal."""

import sys
from collections.abc import Callable
from typing import Final

Progress = Callable[[str, float | None], None]  # what is done, and how much of it: 0 to 1, or None if that is unknown

WIDTH: Final = 30


def reporter(progress: Progress | bool) -> Progress:
    """True shows a bar, unless the program's messages go into a file."""
    if callable(progress):
        return progress
    return show_bar if progress and sys.stderr.isatty() else lambda what, fraction: None


def show_bar(what: str, fraction: float | None) -> None:
    filled = round(WIDTH * (fraction or 0))
    share = "" if fraction is None else f"{fraction:4.0%}"
    end = "\n" if fraction == 1 else ""
    sys.stderr.write(f"\r{what:<20.20} [{'#' * filled}{' ' * (WIDTH - filled)}] {share}{end}")
    sys.stderr.flush()
