"""What a visitor or a program is told when something cannot be done, and what the log is told.

The log gets the place in the code and the kind of error, never its message: messages of libraries
quote files and headers, which may name a patient.
"""

import logging
import traceback

import gradio as gr

from brainai.errors import DataError

INTERNAL = DataError("Something went wrong here, not with your file. Try again.", "internal")


def explain(error: Exception) -> DataError:
    """The error as it may be told; any but a `DataError` is logged and told in general words."""
    if isinstance(error, DataError):
        return error
    places = "".join(traceback.format_tb(error.__traceback__))
    logging.getLogger(__name__).error("%s at\n%s", type(error).__name__, places)
    return INTERNAL


def to_client(error: Exception) -> gr.Error:
    """The error as Gradio's clients get it: `message` is the sentence, `title` the code."""
    told = explain(error)
    return gr.Error(str(told), title=told.code, print_exception=False)
