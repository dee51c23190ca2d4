"""The outermost layer, which sees a request as it comes from the network."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brainai.web.bodies import bad_request
from brainai.web.places import log_place
from brainai.web.proxies import HOST, Proxies, without_forwarded
from brainai.web.refusals import INTERNAL, refusal_json


class Guard:
    """Determines the client of a request, and stops errors, which uvicorn would log in full.

    Args:
        app: Gradio's application with all its layers.
        proxies: the proxies whose headers on client, scheme and host are trusted.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies):
        self.app, self.proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = []

        async def send_noted(message: Message) -> None:
            started.append(message["type"])
            await send(message)

        try:
            original = original_request(scope, self.proxies)
            if original is None:
                refusal = bad_request("Expected the name of a host in the header Host")
                await refusal_json(refusal)(scope, receive, send_noted)
            else:
                await self.app(original, receive, send_noted)
        except Exception as error:
            log_place(error)
            if not started:
                await refusal_json(INTERNAL)(scope, receive, send)


def original_request(scope: Scope, proxies: Proxies) -> Scope | None:
    """Return the request as the visitor sent it to the outermost trusted proxy.

    Returns:
        The scope of that request; None if its header Host names no host.
    """
    peer = scope["client"][0] if scope.get("client") else ""
    first = dict(reversed([(n.lower(), v.decode("latin-1")) for n, v in scope["headers"]]))
    host = first.get(b"host", "localhost")
    if not HOST.fullmatch(host):
        return None
    headers = without_forwarded(scope["headers"])
    if b"host" not in first:
        headers.append((b"host", host.encode()))
    original = {**scope, "headers": headers}
    if proxies.trust(peer):
        chain = [
            v.decode("latin-1") for n, v in scope["headers"] if n.lower() == b"x-forwarded-for"
        ]
        original["client"] = (proxies.visitor(peer, ",".join(chain)), 0)
        scheme = first.get(b"x-forwarded-proto", "").split(",")[0].strip()
        if scheme in ("http", "https"):
            original["scheme"] = scheme
            headers.append((b"x-forwarded-proto", scheme.encode()))
        outside = first.get(b"x-forwarded-host", "").split(",")[0].strip()
        if HOST.fullmatch(outside):
            headers.append((b"x-forwarded-host", outside.encode()))
    return original
