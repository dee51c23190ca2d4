"""What visitors, programs and the log learn about an error.

The log gets the place in the code and the type of the error, never its message: messages of
libraries quote files and headers, which may name a patient.
"""

import json
from collections import OrderedDict
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from brainai.errors import DataError
from brainai.web.places import log_place
from brainai.web.refusals import INTERNAL
from brainai.web.verdict import refusal_card

NOT_RECEIVED = "Too many requests are waiting, or the connection broke. Try again in a minute."
NOT_YET = "Not judged yet"


def explain(error: Exception) -> DataError:
    """Return the error to show. Any but a `DataError` is logged and replaced by a general one."""
    if isinstance(error, DataError):
        return error
    log_place(error)
    return DataError(str(INTERNAL), INTERNAL.code)  # a new one, because raising it changes it


def to_client(error: Exception) -> gr.Error:
    """Return the error for Gradio's clients: `message` is the sentence, `title` the code."""
    shown = explain(error)
    return gr.Error(str(shown), title=shown.code, print_exception=False)


class Sentences:
    """The last error of each recent session, for the page, which learns only that one occurred."""

    def __init__(self, capacity: int = 1000):
        self.capacity = capacity
        self._by_session: OrderedDict[str, str] = OrderedDict()

    def remember(self, session: str | None, sentence: str) -> None:
        """Keep the last error of a session, and forget the oldest beyond the capacity."""
        if session is not None:
            self._by_session[session] = sentence
            self._by_session.move_to_end(session)
            if len(self._by_session) > self.capacity:
                self._by_session.popitem(last=False)

    def take(self, session: str | None) -> str | None:
        """Return the last error of a session, and forget it; None if there is none."""
        return self._by_session.pop(session or "", None)


SENTENCES = Sentences()


def show_failure(judging: Dependency, source: Component, card: gr.HTML, waiting: str) -> None:
    """Show on the card that a request failed, so that no old answer stays next to a new picture.

    The browser shows this at once, without the server, which may be away. If the server refused
    the request, it then shows its own sentence. If the visitor cancelled the request by emptying
    `source`, the card returns to `waiting`.

    Args:
        judging: the event that judges.
        source: the input for FLAIR.
        card: the card with the answer.
        waiting: HTML of the card before there is anything to judge.
    """
    failed = json.dumps(refusal_card(NOT_RECEIVED, NOT_YET))
    choose = f"(held) => held ? {failed} : {json.dumps(waiting)}"
    judging.failure(None, source, card, js=choose, api_visibility="private")

    def refused(held: Any, request: gr.Request) -> Any:
        sentence = SENTENCES.take(request.session_hash)
        return refusal_card(sentence, NOT_YET) if sentence and held else gr.skip()

    at_once = {"preprocess": False, "queue": False, "show_progress": "hidden"}
    judging.failure(refused, source, card, api_visibility="private", **at_once)
