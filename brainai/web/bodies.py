"""Check the parts of a request, without a server. Each failed check raises a `DataError` with one
sentence and a code."""

import inspect
import itertools
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from brainai.errors import DataError
from brainai.web.limits import MAX_NAMED_FILES, MAX_PARTS, MB, MIN_SESSION

SESSION = re.compile(rf"[A-Za-z0-9_-]{{{MIN_SESSION},128}}")
DEPTH = 32  # levels of a JSON value; requests of the page have five
ODD = re.compile(rb"\\u(0000|[dD][89a-fA-F])")  # JSON escapes of NUL and of half a character


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        DataError: the body is not a JSON object, is nested too deeply, has too many parts, or
            holds characters that no text and no path can have.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("Expected a JSON object, found something else") from None
    if not isinstance(content, dict):
        raise bad_request("Expected a JSON object, found another value")
    if ODD.search(body):
        _check_characters(content)
    else:
        deque(walk(content), maxlen=0)
    return content


def _check_characters(content: Any) -> None:
    texts = [part for part in walk(content) if isinstance(part, str)]
    if any("\0" in text for text in texts):
        raise bad_request("Expected text, found a NUL character")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise bad_request("Expected text, found half of a surrogate pair") from None


def walk(value: Any) -> Iterator[Any]:
    """Yield a JSON value and, recursively, the keys and values that it holds.

    Raises:
        DataError: the value is nested more deeply than any valid request, or has more parts.
    """
    rest, found = [(value, 0)], 1
    while rest:
        part, depth = rest.pop()
        yield part
        if depth > DEPTH:
            raise bad_request("Expected a plain JSON object, found one nested too deeply")
        if isinstance(part, dict | list):
            found += len(part) * (2 if isinstance(part, dict) else 1)
            if found > MAX_PARTS:
                raise too_many_parts()
            inside = itertools.chain(*part.items()) if isinstance(part, dict) else part
            rest += ((inner, depth + 1) for inner in inside)


def paths(value: Any) -> Iterator[str]:
    """Yield the paths of the files that a JSON value names, in Gradio's form."""
    for part in walk(value):
        if isinstance(part, dict) and isinstance(part.get("path"), str):
            yield part["path"]


def check_file_count(value: Any) -> None:
    """Check that a request names no more files than any endpoint takes, since Gradio reads each.

    Raises:
        DataError: the request names too many files.
    """
    if sum(1 for _ in paths(value)) > MAX_NAMED_FILES:
        raise DataError(
            f"Expected at most {MAX_NAMED_FILES} files in a request, found more.", "too_many_files"
        )


def check_no_paths(value: Any) -> None:
    """Check that a request of a language model names no path: Gradio would read it on the server.

    Raises:
        DataError: the request names a path.
    """
    if any(isinstance(part, dict) and "path" in part for part in walk(value)):
        raise DataError("Expected a file as a `data:` URL, found a path.", "no_upload")


def check_session(session: Any) -> None:
    """Check the form of a session hash, which is the key to a visitor's answers.

    Raises:
        DataError: the hash is too short to be hard to guess, or has other characters.
    """
    if not isinstance(session, str) or not SESSION.fullmatch(session):
        raise bad_request(
            f"Expected a session hash of {MIN_SESSION} to 128 letters, digits, '-' or '_': "
            "generate a long random one"
        )


def find_function(functions: Mapping[int, Any], name: str | None, index: Any) -> Any:
    """Return the function that a request asks for, by its index or else by its name.

    The page asks for its own functions by their index, so their names are not endpoints.

    Raises:
        DataError: there is no such function.
    """
    if index is None:
        endpoints = (item for item in functions.values() if item.api_visibility != "private")
        function = next((item for item in endpoints if item.api_name == name), None)
    else:
        is_integer = isinstance(index, int) and not isinstance(index, bool)
        function = functions.get(index) if is_integer else None
    if function is not None and function.fn is not None:  # without fn, it runs in the browser only
        return function
    raise DataError(
        "There is no such endpoint: GET /gradio_api/info lists all endpoints.", "no_endpoint"
    )


def check_inputs(function: Any, data: Any, simple: bool = False) -> None:
    """Check that a request has as many inputs as its function takes.

    Args:
        function: a function of the page, as Gradio stores it.
        data: the list of inputs.
        simple: whether inputs that are hidden from the API may be left out.
    Raises:
        DataError: `data` is not a list, or has another number of inputs.
    """
    if not isinstance(data, list):
        raise bad_request("Expected the inputs as a list called data")
    if function.cancels:
        return  # Gradio adds the inputs itself
    inputs = [block for block in function.inputs if not (simple and block.skip_api)]
    if len(data) not in (len(inputs), len(function.inputs)):
        raise bad_request(f"Expected {len(inputs)} inputs in data, found {len(data)}")


def check_event(function: Any, event: Any) -> None:
    """Check that a request has data on the event of the page if its function needs them.

    Raises:
        DataError: the data are missing or not an object.
    """
    if function.collects_event_data and not isinstance(event, dict):
        raise bad_request("Expected event_data as an object, found another value")


def check_names(function: Any, named: Mapping[str, Any]) -> None:
    """Check that a request has the named inputs that its function takes.

    Raises:
        DataError: an input is missing, or the function does not take it.
    """
    parameters = inspect.signature(function.fn).parameters
    required = [name for name, item in parameters.items() if item.default is item.empty]
    if set(required) - set(named) or set(named) - set(parameters):
        raise bad_request(f"Expected the inputs {', '.join(parameters)}, found others")


def bad_request(what: str) -> DataError:
    """Return the error for a malformed request; `what` is the sentence without its period."""
    return DataError(f"{what}.", "bad_request")


def too_many_parts() -> DataError:
    """Return the error for a request whose JSON has more keys and values than any valid request."""
    return DataError(
        f"Expected a request of at most {MAX_PARTS} keys and values, found more.", "too_large"
    )


def too_large_request(limit: int) -> DataError:
    """Return the error for a request of more than `limit` bytes."""
    return DataError(
        f"Expected a request of at most {limit // MB} MB: upload files first.",
        "too_large",
    )
