"""The outermost layer: it sees a request as it comes from the network."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brainai.web.bodies import bad_request
from brainai.web.logs import log_place
from brainai.web.proxies import HOST, Proxies, without_forwarded
from brainai.web.refusals import INTERNAL, refusal_json


class Guard:
    """Says who asks, and lets no error past it, which uvicorn would write down in full.

    Args:
        app: Gradio's, with all its layers.
        proxies: whose word is taken for who asks, by which scheme and for which host.
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
            asked = as_asked(scope, self.proxies)
            if asked is None:
                refusal = bad_request("Expected the name of a host in the header Host")
                await refusal_json(refusal)(scope, receive, send_noted)
            else:
                await self.app(asked, receive, send_noted)
        except Exception as error:
            log_place(error)
            if not started:
                await refusal_json(INTERNAL)(scope, receive, send)


def as_asked(scope: Scope, proxies: Proxies) -> Scope | None:
    """The request as its visitor sent it to the outermost proxy that is trusted; None where it
    names no host."""
    peer = scope["client"][0] if scope.get("client") else ""
    told = dict(reversed([(n.lower(), v.decode("latin-1")) for n, v in scope["headers"]]))
    host = told.get(b"host", "localhost")
    if not HOST.fullmatch(host):
        return None
    headers = without_forwarded(scope["headers"])
    if b"host" not in told:
        headers.append((b"host", host.encode()))
    asked = {**scope, "headers": headers}
    if proxies.trust(peer):
        chain = [
            v.decode("latin-1") for n, v in scope["headers"] if n.lower() == b"x-forwarded-for"
        ]
        asked["client"] = (proxies.visitor(peer, ",".join(chain)), 0)
        scheme = told.get(b"x-forwarded-proto", "").split(",")[0].strip()
        if scheme in ("http", "https"):
            asked["scheme"] = scheme
            headers.append((b"x-forwarded-proto", scheme.encode()))
        outside = told.get(b"x-forwarded-host", "").split(",")[0].strip()
        if HOST.fullmatch(outside):
            headers.append((b"x-forwarded-host", outside.encode()))
    return asked
