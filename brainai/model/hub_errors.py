"""Failures of the Hugging Face Hub, each in one sentence that says what to do next.

No sentence quotes the client or the server on a request, since that may contain a token; only what
they say about the front matter of a card is quoted.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from brainai.errors import HubError

NOT_LOGGED_IN = "there is no token: `hf auth login` keeps one, and HF_TOKEN holds one for a while."
OFFLINE = "HF_HUB_OFFLINE is set, so the Hub is not asked: unset it where there is a network."
NOT_FOUND = (
    "the Hub shows no such repository: check its name, and HF_TOKEN in case it is a private one."
)
NO_REVISION = "it has no such branch, tag or commit: check the name after the @."
CHANGED = "it was changed by somebody else meanwhile: look at what is there now."
BY_STATUS = {
    400: "the Hub does not take it as it is (HTTP 400): check name and card.",
    401: "the Hub does not accept the token: `hf auth login` again, or set another HF_TOKEN.",
    402: "the Hub asks for a paid plan first.",
    403: "the token has no right to do this: take one that may write, of an account that may.",
    409: CHANGED,
    412: CHANGED,
    413: "it is larger than the Hub takes.",
    429: "the Hub had too many requests from here: wait some minutes.",
}
AWAY = "the Hub was not reached, or the connection broke off: try again later."
XET_STATUS = re.compile(r"status (?:client|server) error \((\d{3})")  # Xet tells it in words only
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Raise what the Hub's client raises inside the block as a HubError.

    Args:
        what: what did not happen, such as "me/model was not fetched".
    """
    try:
        yield
    # The client's errors have no common base: an upload raises RuntimeError or ValueError.
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise hub_error(what, error) from error


def hub_error(what: str, error: BaseException) -> HubError:
    """The error to raise instead of one of the client's."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__  # a thread of an upload wraps its error
    reason, unreachable = _reason(error)
    return HubError(f"{what}: {reason}", unreachable=unreachable)


def _reason(error: BaseException) -> tuple[str, bool]:
    """The reason, and whether the Hub was not reached rather than said no."""
    match error:
        case OfflineModeIsEnabled():
            return OFFLINE, True
        case GatedRepoError():
            return "access to it has to be asked for on its page.", False
        case RevisionNotFoundError():
            return NO_REVISION, False
        case RepositoryNotFoundError():
            return NOT_FOUND, False
        case HfHubHTTPError():
            status = error.response.status_code
            fault = f"the Hub has a fault of its own (HTTP {status}): try again later."
            return BY_STATUS.get(status, fault), status == 429 or status not in BY_STATUS
        case OSError() if error.errno in DISK:
            return f"the Hub's cache on this disk cannot be written ({error.strerror}).", False
        case PermissionError():  # of an upload by Xet
            return BY_STATUS[403], False
        case OSError() if status := XET_STATUS.search(str(error)):
            return BY_STATUS.get(int(status[1]), AWAY), int(status[1]) not in BY_STATUS
        case ValueError():  # among others, of the card's front matter, line by line
            return f"the Hub does not take it as it is. {' '.join(str(error).split())}", False
    return AWAY, True
