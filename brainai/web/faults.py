"""What a visitor or a program is told when something cannot be done, and what the log is told.

The log gets the place in the code and the kind of error, never its message: messages of libraries
quote files and headers, which may name a patient.
"""

import json
from collections import OrderedDict
from typing import Any

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
NOT_YET = "Not judged yet"


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


class Sentences:
    """What the latest sessions were told last, for the page: it learns of an error only that there
    was one."""

    def __init__(self, capacity: int = 1000):
        self.capacity = capacity
        self._told: OrderedDict[str, str] = OrderedDict()

    def remember(self, session: str | None, sentence: str) -> None:
        if session is not None:
            self._told[session] = sentence
            self._told.move_to_end(session)
            if len(self._told) > self.capacity:
                self._told.popitem(last=False)

    def take(self, session: str | None) -> str | None:
        return self._told.pop(session or "", None)


TOLD = Sentences()


def show_when_not_asked(asked: Dependency, source: Component, card: gr.HTML, waiting: str) -> None:
    """Say so on the card where a question did not get through: an old answer would stay beside a
    new picture, as if it were its own. One that was taken back, with what `source` held, leaves
    the card as it waits at first.

    The browser does it at once, without the server, which may be away; the server adds its own
    sentence where it refused the question.
    """
    told = json.dumps(refusal_card(NOT_ASKED, NOT_YET))
    choose = f"(held) => held ? {told} : {json.dumps(waiting)}"
    asked.failure(None, source, card, js=choose, api_visibility="private")

    def refused(held: Any, request: gr.Request) -> Any:
        sentence = TOLD.take(request.session_hash)
        return refusal_card(sentence, NOT_YET) if sentence and held else gr.skip()

    at_once = {"preprocess": False, "queue": False, "show_progress": "hidden"}
    asked.failure(refused, source, card, api_visibility="private", **at_once)
