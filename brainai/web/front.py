"""What stands before Gradio's routes: which are open, and what they may be asked.

Gradio 6.31 answers what it does not know with a traceback in the log, and bounds neither the size
of a request nor the wait. So a request is looked at here first, and what Gradio would stumble over
gets a sentence with a code instead.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brainai.errors import DataError
from brainai.web import bodies
from brainai.web.answers import Answer
from brainai.web.limits import ALL_JSON_BYTES, MAX_JSON_BYTES, MAX_MCP_BYTES
from brainai.web.logs import log_place
from brainai.web.open_routes import Asked, check_address, find_route, path_within
from brainai.web.quota import Ledger
from brainai.web.receiving import recount
from brainai.web.refusals import INTERNAL
from brainai.web.uploads import uploads_named
from brainai.web.waiting import Busy, check_turn

SMALL = 2**16  # bytes; a request of a language model without a file


class FrontDoor:
    """The layer. It stands within Gradio's for cross-origin requests, so that its answers have the
    headers of those too.

    Args:
        app: what it stands before.
        page: whose functions and queue are asked for.
        ledger: where uploads are counted.
    """

    def __init__(self, app: ASGIApp, page: gr.Blocks, ledger: Ledger):
        self.app, self.page, self.ledger = app, page, ledger
        self.reading = 0  # bytes of requests with JSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = Answer(send)
        try:
            await self._pass_on(scope, receive, answer)
        except DataError as refusal:
            answer.refusal = refusal
        except ClientDisconnect:
            return  # who asked is gone
        except Exception as error:
            if not isinstance(error, RuntimeError) or not answer.started:
                log_place(error)
            answer.refusal = INTERNAL
        if answer.refusal is not None:
            await answer.replace(scope, receive)

    async def _pass_on(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        asked = find_route(scope["method"], path_within(scope))
        if asked.mcp:
            await self._pass_on_mcp(asked, scope, receive, answer)
        elif asked.job:
            async with self._body(receive, MAX_JSON_BYTES) as body:
                body = self._checked(asked, bodies.parse(body))
                await self.app(with_body(scope, body), again(body, receive), answer.send)
        else:
            check_address(asked, scope)
            await self.app(scope, receive, answer.send)

    async def _pass_on_mcp(
        self, asked: Asked, scope: Scope, receive: Receive, answer: "Answer"
    ) -> None:
        """MCP has errors of its own form. Files that come as `data:` addresses are written by
        Gradio, so they are counted afterwards."""
        answer.plain = True
        if asked.method != "POST":
            await self.app(scope, receive, answer.send)
            return
        async with self._body(receive, MAX_MCP_BYTES) as body:
            bodies.check_no_paths(bodies.parse(body))
            await self.app(scope, again(body, receive), answer.send)
            if len(body) > SMALL:
                await recount(self.ledger)

    @asynccontextmanager
    async def _body(self, receive: Receive, limit: int) -> AsyncIterator[bytes]:
        """The body of a request, which counts while it is answered."""
        pieces, size, more = [], 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(pieces[-1])
                self.reading += len(pieces[-1])
                if size > limit:
                    raise bodies.too_large_request(limit)
                if self.reading > ALL_JSON_BYTES:
                    raise Busy(5)
            yield b"".join(pieces)
        finally:
            self.reading -= size

    def _checked(self, asked: Asked, body: dict[str, Any]) -> bytes:
        """The body as Gradio gets it.

        Raises:
            DataError: it is none that Gradio can take.
            Busy: it would have to wait too long.
        """
        named = asked.job == "call/v2"  # the body holds the inputs and nothing else
        session = None if named else body.get("session_hash")
        if asked.job == "queue/join" or session is not None:
            bodies.check_session(session)
        if asked.job in ("cancel", "reset"):
            return json.dumps(body).encode()
        index = body.get("fn_index") if asked.job in ("queue/join", "run") else None
        function = bodies.find_function(self.page.fns, asked.name, index)
        if asked.job == "run" and function.queue:
            raise DataError("This endpoint waits its turn: ask it at /gradio_api/call.", "queued")
        if named:
            bodies.check_names(function, body)
        else:
            bodies.check_inputs(function, body.get("data"), simple=asked.job == "call")
            bodies.check_event(function, body.get("event_data"))
        bodies.check_file_count(body)
        if asked.job != "run":
            body = self._given_a_turn(asked.job, function, body)
        self.ledger.name(uploads_named(body))
        return json.dumps(body).encode()

    def _given_a_turn(self, job: str, function: Any, body: dict[str, Any]) -> dict[str, Any]:
        """The request, where there is a place for it in the queue. Gradio's clients show nothing of
        an HTTP error there, so theirs goes to a function that only tells why not."""
        try:
            check_turn(self.page._queue, function)
        except Busy as busy:
            if job != "queue/join":
                raise
            return {"session_hash": body["session_hash"], **self.page.refusing(busy)}
        return body


def with_body(scope: Scope, body: bytes) -> Scope:
    """A request with this body of JSON."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in (b"content-length", b"transfer-encoding")
    ]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}


def again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, and then what comes."""
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pieces.pop() if pieces else await receive()

    return receive_again
