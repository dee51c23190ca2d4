"""Which addresses are open: what page, clients, health checks and language models need.

Gradio 6.31 opens many more, such as a view of all requests, a proxy, and an editor of the app.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import Scope

from brainai.errors import DataError
from brainai.web.bodies import check_session
from brainai.web.uploads import is_upload

API = "/gradio_api"
READ = ("GET", "HEAD")
# What page, clients and MCP need. All else that Gradio serves is closed.
OPEN = [
    (READ, r"/|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json"),
    (READ, r"/(assets|static|svelte)/.+"),
    (READ, rf"{API}/(info/?|openapi\.json|theme\.css|app_id/?|login_check/?|queue/status)"),
    (READ, rf"{API}/(startup-events|upload_progress)"),
    (READ, rf"{API}/file=(?P<file>.+)"),
    (READ, rf"{API}/(queue/data|heartbeat/(?P<session>[^/]+))"),
    (READ, rf"{API}/call/(v2/)?[^/]+/[^/]+"),
    (("POST",), rf"{API}/upload"),
    (("POST",), rf"{API}/(?P<job>queue/join|call/v2|call|run)(/(?P<name>[^/]+))?/?"),
    (("POST",), rf"{API}/(?P<job>cancel|reset)/?"),
    ((*READ, "POST", "DELETE"), rf"(?P<mcp>{API}/mcp(/|/http/?)?)"),
    (READ, rf"{API}/mcp/schema"),
]


NOT_FOUND = DataError("There is nothing at this address.", "not_found")
WRONG_METHOD = DataError("This address does not take requests of this method.", "wrong_method")


class Asked(NamedTuple):
    """What a request asks for: parts of its path, where it has them."""

    method: str
    path: str
    job: str | None = None  # what is to be done with a body of JSON
    name: str | None = None  # of an endpoint
    mcp: str | None = None
    file: str | None = None
    session: str | None = None


def find_route(method: str, path: str) -> Asked:
    """What a request asks for.

    Raises:
        DataError: there is nothing open at this address, or not for this method.
    """
    known = False
    for methods, pattern in OPEN:
        found = re.fullmatch(pattern, path)
        if found and method in methods:
            return Asked(method, path, **found.groupdict())
        known = known or bool(found)
    raise WRONG_METHOD if known else NOT_FOUND


def path_within(scope: Scope) -> str:
    """The path of a request within the app: a proxy may leave the prefix where it is mounted."""
    root, path = scope.get("root_path", ""), scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :] or "/"
    return path


def check_address(asked: Asked, scope: Scope) -> None:
    """Whether an address may be asked for.

    Raises:
        DataError: it names a file that was not uploaded, or no session.
    """
    if asked.file is not None and not is_upload(asked.file):
        raise NOT_FOUND
    session = asked.session
    if asked.path == f"{API}/queue/data":
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
    if session is not None:
        check_session(session)
    if asked.path == f"{API}/startup-events" and scope["app"].startup_events_triggered:
        raise NOT_FOUND  # Gradio asks this itself, once
