"""What goes back to who asked."""

import contextlib
import json

from starlette.types import Message, Receive, Scope, Send

from brainai.errors import DataError
from brainai.web.bodies import bad_request
from brainai.web.open_routes import NOT_FOUND, WRONG_METHOD
from brainai.web.refusals import CODE, INTERNAL, refusal_json
from brainai.web.waiting import Busy


class Answer:
    """The answer of what stands behind; an error of Gradio's own making becomes a sentence with a
    code."""

    def __init__(self, send: Send):
        self._send, self._status, self._body = send, None, b""
        self.plain = False  # errors below 500 have a form of their own
        self.started, self.refusal = False, None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            least = 500 if self.plain else 400
            if message["status"] >= least and CODE.lower().encode() not in dict(message["headers"]):
                self._status = message["status"]
                return
            self.started = True
        elif self._status is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self.refusal = told_by_gradio(self._status, self._body)
            return
        await self._send(message)

    async def replace(self, scope: Scope, receive: Receive) -> None:
        """Answer with the refusal; where an answer has begun, end it."""
        if self.started:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await refusal_json(self.refusal)(scope, receive, self._send)


def told_by_gradio(status: int, body: bytes) -> DataError:
    """What Gradio answered with an error, as one of ours."""
    told = None
    with contextlib.suppress(ValueError):
        told = json.loads(body)
    if isinstance(told, dict) and isinstance(told.get("error"), str):
        return DataError(told["error"], str(told.get("title", "bad_request")))
    if status == 503:
        return Busy(30)  # the queue is at the most that it ever holds
    if status >= 500:
        return INTERNAL
    if status in (403, 404):
        return NOT_FOUND
    if status == 405:
        return WRONG_METHOD
    return bad_request("Expected a request as docs/api.md describes it, found another")
