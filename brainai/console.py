"""What the command lines share: text that any console takes."""

import io
import sys


def print_anywhere() -> None:
    """Have `print` put a "?" in the place of a character that the console lacks.

    A log in ASCII or Latin-1 would otherwise end a command at its last line, with all work done.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not in a notebook, nor where it is closed
            stream.reconfigure(errors="replace")
