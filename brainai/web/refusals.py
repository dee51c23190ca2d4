"""Refuse a request over HTTP with a status, a code and a sentence."""

from starlette.responses import JSONResponse, PlainTextResponse, Response

from brainai.errors import DataError
from brainai.web.waiting import Busy

INTERNAL = DataError(
    "Something went wrong on the server, not with your request. Try again.", "internal"
)
STATUS = {
    "busy": 503,
    "full": 503,
    "internal": 500,
    "no_endpoint": 404,
    "not_found": 404,
    "queued": 404,
    "wrong_method": 405,
    "too_large": 413,
    "too_many_files": 413,
    "too_much": 413,
}
RETRY_SECONDS = {"full": 300, "too_much": 60}
CODE = "X-Error-Code"


def status(refusal: DataError) -> int:
    """Return the HTTP status of a refusal."""
    return STATUS.get(refusal.code, 400)


def headers(refusal: DataError) -> dict[str, str]:
    """Return the headers of a refusal: its code, and Retry-After if trying again may help."""
    seconds = refusal.seconds if isinstance(refusal, Busy) else RETRY_SECONDS.get(refusal.code)
    retry = {} if seconds is None else {"Retry-After": str(seconds)}
    return {CODE: refusal.code, **retry}


def refusal_json(refusal: DataError) -> Response:
    """Return a refusal as JSON in the form of Gradio's errors, which its clients show."""
    content = {"error": str(refusal), "title": refusal.code}
    return JSONResponse(content, status(refusal), headers(refusal))


def refusal_text(refusal: DataError) -> Response:
    """Return a refusal as text: Gradio's page shows the body of a refused upload as it is."""
    return PlainTextResponse(str(refusal), status(refusal), headers(refusal))
