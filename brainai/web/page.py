"""Gradio's page, in which each error reaches the client as a sentence with a code."""

from typing import Any, TypeGuard

import gradio as gr
from gradio.exceptions import InvalidPathError

from brainai.errors import DataError
from brainai.web.faults import SENTENCES, to_client
from brainai.web.uploads import NO_UPLOAD
from brainai.web.waiting import Busy

REFUSING = "refuse"


class Page(gr.Blocks):
    """`gr.Blocks` in which each error reaches the client as a sentence with a code.

    For other errors Gradio 6.31 prints a traceback that quotes values, and answers
    `{"error": null}`.
    """

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            shown = error if is_for_client(error) else to_client(error)
            SENTENCES.remember(kwargs.get("session_hash"), str(shown.message))
            raise shown from None

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> list[Any]:
        try:
            return await super().preprocess_data(*args, **kwargs)
        except Exception as error:
            raise error if is_for_client(error) else to_client(input_error(error)) from None

    def add_refusal(self) -> None:
        """Add the function that refused requests are sent to; call it within `gr.Blocks`."""

        def refuse(code: str, sentence: str) -> str:
            raise to_client(DataError(str(sentence), str(code)))

        # It has a queue of its own, so it neither waits nor takes a place from others.
        gr.api(
            refuse,
            api_name=REFUSING,
            api_visibility="private",
            concurrency_limit=None,
            concurrency_id=REFUSING,
        )

    def refusing(self, refusal: Busy) -> dict[str, Any]:
        """Return the body of a request to the function that raises this refusal."""
        number = next(i for i, fn in self.fns.items() if fn.api_name == REFUSING)
        return {"fn_index": number, "data": [refusal.code, str(refusal)]}


def is_for_client(error: Exception) -> TypeGuard[gr.Error]:
    """Return whether an error comes from `to_client`; Gradio's own errors quote values."""
    return isinstance(error, gr.Error) and not error.print_exception


def input_error(error: Exception) -> DataError:
    """Return why Gradio rejected an input, which is the caller's mistake."""
    if isinstance(error, InvalidPathError | OSError | gr.Error):
        return DataError(NO_UPLOAD, "no_upload")
    return DataError("Expected inputs as docs/api.md describes them, found others.", "bad_request")
