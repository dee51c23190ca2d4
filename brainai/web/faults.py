"""What a visitor or a program is told when something cannot be done, and what the log is told.

The log gets the place in the code and the kind of error, never its message: messages of libraries
quote files and headers, which may name a patient.
"""

import json

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from brainai.errors import DataError
from brainai.web.logs import log_place
from brainai.web.verdict import refusal_card

INTERNAL = "Something went wrong here, not with your file. Try again."
NOT_ASKED = (
    "Too many questions wait here at the moment, or the connection broke. Try again in a minute."
)


def explain(error: Exception) -> DataError:
    """The error as it may be told; any but a `DataError` is logged and told in general words."""
    if isinstance(error, DataError):
        return error
    log_place(error)
    return DataError(INTERNAL, "internal")


def to_client(error: Exception) -> gr.Error:
    """The error as Gradio's clients get it: `message` is the sentence, `title` the code."""
    told = explain(error)
    return gr.Error(str(told), title=told.code, print_exception=False)


def show_when_not_asked(asked: Dependency, source: Component, card: gr.HTML, waiting: str) -> None:
    """Say so on the card where a question did not get through: an old answer would stay beside a
    new picture, as if it were its own. One that was taken back, with what `source` held, leaves
    the card as it waits at first."""
    told = json.dumps(refusal_card(NOT_ASKED, "Not judged yet"))
    choose = f"(held) => held ? {told} : {json.dumps(waiting)}"
    asked.failure(None, source, card, js=choose, api_visibility="private")
