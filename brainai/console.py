"""Print text on any console."""

import io
import sys


def print_anywhere() -> None:
    """Make `print` replace characters that the console lacks with "?".

    Otherwise a console or log in ASCII or Latin-1 could end a command with an error at its last
    line, after all work is done.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # streams of notebooks and closed ones are not
            stream.reconfigure(errors="replace")
