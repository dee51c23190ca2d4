"""Whether a request is one that the page or an endpoint can take: checks of its parts, with no
server. What does not pass is told in one sentence with a code."""

import inspect
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from brainai.errors import DataError
from brainai.web.limits import MAX_NAMED_FILES, MB, MIN_SESSION

SESSION = re.compile(rf"[A-Za-z0-9_-]{{{MIN_SESSION},128}}")
DEPTH = 32  # of a JSON value; what the page sends is nested five deep
ODD = re.compile(rb"\\u(0000|[dD][89a-fA-F])")  # what a string must not hold, as JSON writes it


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        DataError: it is none, or holds characters that no text and no path has.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("Expected a JSON object, found something else") from None
    if not isinstance(found, dict):
        raise bad_request("Expected a JSON object, found another value")
    if ODD.search(body):
        _check_characters(found)
    else:
        deque(walk(found), maxlen=0)
    return found


def _check_characters(found: Any) -> None:
    texts = [part for part in walk(found) if isinstance(part, str)]
    if any("\0" in text for text in texts):
        raise bad_request("Expected text, found a NUL character")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise bad_request("Expected text, found half a character") from None


def walk(value: Any) -> Iterator[Any]:
    """All parts of a JSON value: itself, and the keys and parts of what it holds.

    Raises:
        DataError: it is nested deeper than anything that the page or an endpoint takes.
    """
    rest = [(value, 0)]
    while rest:
        part, depth = rest.pop()
        yield part
        if depth > DEPTH:
            raise bad_request("Expected a plain JSON object, found one nested too deeply")
        if isinstance(part, dict):
            rest += ((inner, depth + 1) for pair in part.items() for inner in pair)
        elif isinstance(part, list):
            rest += ((inner, depth + 1) for inner in part)


def paths(value: Any) -> Iterator[str]:
    """The files that a JSON value names, as Gradio does."""
    for part in walk(value):
        if isinstance(part, dict) and isinstance(part.get("path"), str):
            yield part["path"]


def check_file_count(value: Any) -> None:
    """Raise DataError where a request names more files than any endpoint takes; Gradio looks at
    each for a fraction of a millisecond."""
    if sum(1 for _ in paths(value)) > MAX_NAMED_FILES:
        raise DataError(
            f"Expected at most {MAX_NAMED_FILES} files in a request, found more.", "too_many_files"
        )


def check_no_paths(value: Any) -> None:
    """Whether a request of a language model names no files: Gradio would read them on the server.

    Raises:
        DataError: it does.
    """
    if any(isinstance(part, dict) and "path" in part for part in walk(value)):
        raise DataError("Expected a file as a `data:` address, found a path.", "no_upload")


def check_session(session: Any) -> None:
    """Whether a session hash can be one: it is the key to a visitor's answers.

    Raises:
        DataError: it is too short to be hard to guess, or has other characters.
    """
    if not isinstance(session, str) or not SESSION.fullmatch(session):
        raise bad_request(
            f"Expected a session hash of {MIN_SESSION} to 128 letters, digits, '-' or '_': "
            "draw a long one at random"
        )


def find_function(functions: Mapping[int, Any], name: str | None, index: Any) -> Any:
    """The function that a request asks for: by its number, else by its name.

    Raises:
        DataError: there is none.
    """
    if index is None:
        found = (function for function in functions.values() if function.api_name == name)
        function = next(found, None)
    else:
        whole = isinstance(index, int) and not isinstance(index, bool)
        function = functions.get(index) if whole else None
    if function is not None and function.fn is not None:  # else the browser does it alone
        return function
    raise DataError(
        "There is no such endpoint: GET /gradio_api/info lists those there are.", "no_endpoint"
    )


def check_inputs(function: Any, data: Any, simple: bool = False) -> None:
    """Whether a request brings as many inputs as its function takes.

    Args:
        function: Gradio's.
        data: the list of inputs.
        simple: inputs that programs do not give may be left out.

    Raises:
        DataError: it does not.
    """
    if not isinstance(data, list):
        raise bad_request("Expected the inputs as a list called data")
    if function.cancels:
        return  # Gradio puts in what it needs
    given = [block for block in function.inputs if not (simple and block.skip_api)]
    if len(data) not in (len(given), len(function.inputs)):
        raise bad_request(f"Expected {len(given)} inputs in data, found {len(data)}")


def check_event(function: Any, event: Any) -> None:
    """Whether a request tells what happened on the page, where its function asks for that.

    Raises:
        DataError: it does not.
    """
    if function.collects_event_data and not isinstance(event, dict):
        raise bad_request("Expected event_data as an object, found another value")


def check_names(function: Any, named: Mapping[str, Any]) -> None:
    """Whether a request brings the inputs that a function takes by name.

    Raises:
        DataError: one is missing, or is none of the function's.
    """
    parameters = inspect.signature(function.fn).parameters
    needed = [name for name, one in parameters.items() if one.default is one.empty]
    if set(needed) - set(named) or set(named) - set(parameters):
        raise bad_request(f"Expected the inputs {', '.join(parameters)}, found others")


def bad_request(what: str) -> DataError:
    return DataError(f"{what}.", "bad_request")


def too_large_request(limit: int) -> DataError:
    return DataError(
        f"Expected a request of at most {limit // MB} MB: upload files first.",
        "too_large",
    )
