"""Log the place of an error in the code. This module must not import Gradio, as `sweep` uses it."""

import logging
import traceback


def log_place(error: BaseException) -> None:
    """Log the type of an error and its place in the code."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logging.getLogger(__name__).error("%s at\n%s", type(error).__name__, places)
