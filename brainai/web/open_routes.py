"""The addresses that are open: those that the page, clients, monitors and language models need.

Gradio 6.31 opens many more, such as a view of all requests, a proxy, and an editor for the app.
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
OPEN = [  # everything else that Gradio serves is closed
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
WRONG_METHOD = DataError("This address does not accept this HTTP method.", "wrong_method")


class Route(NamedTuple):
    """The parts of a request's path; None for a part that the path does not have."""

    method: str
    path: str
    job: str | None = None  # of a request with a JSON body, such as "call" or "cancel"
    name: str | None = None  # of the endpoint
    mcp: str | None = None
    file: str | None = None
    session: str | None = None


def find_route(method: str, path: str) -> Route:
    """Return the parts of the path of a request.

    Raises:
        DataError: the address is not open, or not for this method.
    """
    known = False
    for methods, pattern in OPEN:
        match = re.fullmatch(pattern, path)
        if match and method in methods:
            return Route(method, path, **match.groupdict())
        known = known or bool(match)
    raise WRONG_METHOD if known else NOT_FOUND


def path_within(scope: Scope) -> str:
    """Return the path of a request within the app, without a prefix that a proxy left in place."""
    root, path = scope.get("root_path", ""), scope["path"]
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :] or "/"
    return path


def check_address(route: Route, scope: Scope) -> None:
    """Check the file and the session that an address names.

    Raises:
        DataError: the file was not uploaded, or the session hash is not valid.
    """
    if route.file is not None and not is_upload(route.file):
        raise NOT_FOUND
    session = route.session
    if route.path == f"{API}/queue/data":
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
    if session is not None:
        check_session(session)
    if route.path == f"{API}/startup-events" and scope["app"].startup_events_triggered:
        raise NOT_FOUND  # Gradio itself calls this once, when it starts
