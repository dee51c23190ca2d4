"""The layer in front of Gradio's routes: it checks which routes are open and what a request holds.

Gradio 6.31 answers an unexpected request with a traceback in the log, and limits neither the size
of a request nor its wait. So this layer checks each request first, and answers a bad one with a
sentence and a code.
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
from brainai.web.answers import HeldResponse
from brainai.web.limits import ALL_JSON_BYTES, MAX_JSON_BYTES, MAX_MCP_BYTES
from brainai.web.open_routes import Route, check_address, find_route, path_within
from brainai.web.places import log_place
from brainai.web.quota import UploadLedger
from brainai.web.receiving import recount
from brainai.web.refusals import INTERNAL
from brainai.web.uploads import uploads_named
from brainai.web.waiting import Busy, check_turn

SMALL = 2**16  # bytes; a request of a language model without a file


class FrontDoor:
    """The layer as an ASGI application.

    It is inside Gradio's layer for cross-origin requests, so its answers get those headers too.

    Args:
        app: the inner application.
        page: the page with the functions and the queue.
        ledger: the ledger that counts uploads.
    """

    def __init__(self, app: ASGIApp, page: gr.Blocks, ledger: UploadLedger):
        self.app, self.page, self.ledger = app, page, ledger
        self.reading = 0  # bytes of JSON in all current requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = HeldResponse(send)
        try:
            await self._pass_on(scope, receive, answer)
        except DataError as refusal:
            answer.refusal = refusal
        except ClientDisconnect:
            return
        except Exception as error:
            if not isinstance(error, RuntimeError) or not answer.started:
                log_place(error)
            answer.refusal = INTERNAL
        if answer.refusal is not None:
            await answer.replace(answer.refusal, scope, receive)

    async def _pass_on(self, scope: Scope, receive: Receive, answer: "HeldResponse") -> None:
        route = find_route(scope["method"], path_within(scope))
        if route.mcp:
            await self._pass_on_mcp(route, scope, receive, answer)
        elif route.job:
            async with self._body(receive, MAX_JSON_BYTES) as body:
                body = self._checked(route.job, route.name, bodies.parse(body))
                await self.app(with_body(scope, body), replayed(body, receive), answer.send)
        else:
            check_address(route, scope)
            await self.app(scope, receive, answer.send)

    async def _pass_on_mcp(
        self, route: Route, scope: Scope, receive: Receive, answer: "HeldResponse"
    ) -> None:
        """Pass on a request of MCP, which has its own form for errors.

        Gradio writes the files that come as `data:` URLs, so they are counted afterwards.
        """
        answer.plain = True
        if route.method != "POST":
            await self.app(scope, receive, answer.send)
            return
        async with self._body(receive, MAX_MCP_BYTES) as body:
            bodies.check_no_paths(bodies.parse(body))
            await self.app(scope, replayed(body, receive), answer.send)
            if len(body) > SMALL:
                await recount(self.ledger)

    @asynccontextmanager
    async def _body(self, receive: Receive, limit: int) -> AsyncIterator[bytes]:
        """Read the body of a request, and count its bytes until the request is answered."""
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

    def _checked(self, job: str, name: str | None, body: dict[str, Any]) -> bytes:
        """Check the body of a request, and return the body to pass on to Gradio.

        Args:
            job, name: those of its `Route`.
            body: its content.
        Raises:
            DataError: Gradio could not process the request.
            Busy: the request would have to wait too long.
        """
        named = job == "call/v2"  # the body holds the inputs and nothing else
        session = None if named else body.get("session_hash")
        if job == "queue/join" or session is not None:
            bodies.check_session(session)
        if job in ("cancel", "reset"):
            return json.dumps(body).encode()
        index = body.get("fn_index") if job in ("queue/join", "run") else None
        function = bodies.find_function(self.page.fns, name, index)
        if job == "run" and function.queue:
            raise DataError("This endpoint has a queue: ask it at /gradio_api/call.", "queued")
        if named:
            bodies.check_names(function, body)
        else:
            bodies.check_inputs(function, body.get("data"), simple=job == "call")
            bodies.check_event(function, body.get("event_data"))
        bodies.check_file_count(body)
        if job != "run":
            body = self._queued(job, function, body)
        self.ledger.name(uploads_named(body))
        return json.dumps(body).encode()

    def _queued(self, job: str, function: Any, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request if the queue has a place for it.

        Gradio's clients do not show HTTP errors of the queue. Without a place, their request is
        therefore replaced by one to a function that raises the refusal.
        """
        try:
            check_turn(self.page._queue, function)
        except Busy as busy:
            if job != "queue/join":
                raise
            return {"session_hash": body["session_hash"], **self.page.refusing(busy)}
        return body


def with_body(scope: Scope, body: bytes) -> Scope:
    """Return the scope of a request with another body, whose length it states."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in (b"content-length", b"transfer-encoding")
    ]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first gives a body that was already read."""
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pieces.pop() if pieces else await receive()

    return receive_again
