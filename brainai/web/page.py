"""Gradio's page, with errors that can be told."""

from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError

from brainai.errors import DataError
from brainai.web.faults import TOLD, to_client
from brainai.web.uploads import NO_UPLOAD
from brainai.web.waiting import Busy

REFUSING = "refuse"


class Page(gr.Blocks):
    """`gr.Blocks` in which whatever goes wrong reaches the caller as a sentence with a code.

    Gradio 6.31 prints the traceback of every error that is not told, with the values it was about,
    and answers `{"error": null}`.
    """

    async def process_api(self, *given: Any, **named: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*given, **named)
        except Exception as error:
            told = error if is_told(error) else to_client(error)
            TOLD.remember(named.get("session_hash"), str(told.message))
            raise told from None

    async def preprocess_data(self, *given: Any, **named: Any) -> list[Any]:
        try:
            return await super().preprocess_data(*given, **named)
        except Exception as error:
            raise error if is_told(error) else to_client(not_taken(error)) from None

    def add_refusal(self) -> None:
        """Add the function to which requests go that are refused, within `gr.Blocks`."""

        def refuse(code: str, sentence: str) -> str:
            raise to_client(DataError(str(sentence), str(code)))

        # It waits for nothing, and has no place that another could need.
        gr.api(
            refuse,
            api_name=REFUSING,
            api_visibility="private",
            concurrency_limit=None,
            concurrency_id=REFUSING,
        )

    def refusing(self, refusal: Busy) -> dict[str, Any]:
        """A request of the function that tells a refusal."""
        number = next(i for i, fn in self.fns.items() if fn.api_name == REFUSING)
        return {"fn_index": number, "data": [refusal.code, str(refusal)]}


def is_told(error: Exception) -> bool:
    """Whether an error is one of ours: those that Gradio raises itself quote values."""
    return isinstance(error, gr.Error) and not error.print_exception


def not_taken(error: Exception) -> DataError:
    """Why Gradio does not take an input: the caller's mistake."""
    if isinstance(error, InvalidPathError | OSError | gr.Error):
        return DataError(NO_UPLOAD, "no_upload")
    return DataError("Expected inputs as the API describes them, found others.", "bad_request")
