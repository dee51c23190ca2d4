"""Pass Gradio's answers on to the client, and replace its errors."""

import contextlib
import json

from starlette.types import Message, Receive, Scope, Send

from brainai.errors import DataError
from brainai.web.bodies import bad_request
from brainai.web.open_routes import NOT_FOUND, WRONG_METHOD
from brainai.web.refusals import CODE, INTERNAL, refusal_json
from brainai.web.waiting import Busy


class HeldResponse:
    """The answer of the inner application; an error of Gradio's becomes a sentence with a code.

    Attributes:
        plain: whether errors below 500 have a form of their own, as in MCP; they are passed on.
        started: whether the answer has begun.
        refusal: the error that replaces the answer; None if there is none.
    """

    def __init__(self, send: Send):
        self._send, self._status, self._body = send, None, b""
        self.plain = False
        self.started = False
        self.refusal: DataError | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on, or hold it back if it belongs to an error of Gradio's."""
        if message["type"] == "http.response.start":
            least = 500 if self.plain else 400
            if message["status"] >= least and CODE.lower().encode() not in dict(message["headers"]):
                self._status = message["status"]
                return
            self.started = True
        elif self._status is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self.refusal = gradio_error(self._status, self._body)
            return
        await self._send(message)

    async def replace(self, refusal: DataError, scope: Scope, receive: Receive) -> None:
        """Answer with a refusal, or end an answer that has begun."""
        if self.started:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await refusal_json(refusal)(scope, receive, self._send)


def gradio_error(status: int, body: bytes) -> DataError:
    """Return an error answer of Gradio's as a `DataError`."""
    content = None
    with contextlib.suppress(ValueError):
        content = json.loads(body)
    if isinstance(content, dict) and isinstance(content.get("error"), str):
        return DataError(content["error"], str(content.get("title", "bad_request")))
    if status == 503:
        return Busy(30)  # Gradio's queue is full
    if status >= 500:
        return INTERNAL
    if status in (403, 404):
        return NOT_FOUND
    if status == 405:
        return WRONG_METHOD
    return bad_request("Expected a request as docs/api.md describes it, found another one")
