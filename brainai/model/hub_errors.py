"""Describe failures of the Hugging Face Hub in one sentence that says what to do next.

Messages of the client and the server are not quoted, because they may contain a token. Only their
messages about the front matter of a card are quoted.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from brainai.errors import HubError

NOT_LOGGED_IN = "there is no token. Log in with `hf auth login`, or set HF_TOKEN."
OFFLINE = "HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it if there is a network."
NOT_FOUND = (
    "the Hub has no such repository, or it is private. Check its name, and HF_TOKEN if it is "
    "private."
)
NO_REVISION = "the repository has no such branch, tag or commit. Check the name after the @."
CHANGED = "somebody else changed the repository in the meantime. Check its current state."
BY_STATUS = {
    400: "the Hub rejects the request (HTTP 400). Check the name and the card.",
    401: "the Hub does not accept the token. Run `hf auth login` again, or set another HF_TOKEN.",
    402: "the Hub requires a paid plan for this.",
    403: "the token has no permission for this. Use a token with write permission, from an account "
    "with access.",
    409: CHANGED,
    412: CHANGED,
    413: "the files are larger than the Hub allows.",
    429: "the Hub received too many requests from here. Wait some minutes.",
}
AWAY = "the Hub could not be reached, or the connection was lost. Try again later."
XET_STATUS = re.compile(r"status (?:client|server) error \((\d{3})")  # Xet has it only in words
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn errors that the Hub's client raises in the block into a HubError.

    Args:
        what: the beginning of the message, such as "me/model was not fetched".
    """
    try:
        yield
    # The client's errors have no common base class: an upload raises RuntimeError or ValueError.
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise hub_error(what, error) from error


def hub_error(what: str, error: BaseException) -> HubError:
    """Return the error to raise instead of one of the client's."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__  # the thread of an upload wraps its error
    reason, unreachable = _reason(error)
    return HubError(f"{what}: {reason}", unreachable=unreachable)


def _reason(error: BaseException) -> tuple[str, bool]:
    """Return the reason, and whether the Hub was unreachable and did not reject the request."""
    match error:
        case OfflineModeIsEnabled():
            return OFFLINE, True
        case LocalTokenNotFoundError():
            return NOT_LOGGED_IN, False
        case GatedRepoError():
            return "access to it must be requested on its page.", False
        case RevisionNotFoundError():
            return NO_REVISION, False
        case RepositoryNotFoundError():
            return NOT_FOUND, False
        case HfHubHTTPError():
            status = error.response.status_code
            fault = f"the Hub has an internal error (HTTP {status}). Try again later."
            return BY_STATUS.get(status, fault), status == 429 or status not in BY_STATUS
        case OSError() if error.errno in DISK:
            return f"the Hub's cache on this disk cannot be written ({error.strerror}).", False
        case PermissionError():  # from an upload by Xet
            return BY_STATUS[403], False
        case OSError() if status := XET_STATUS.search(str(error)):
            return BY_STATUS.get(int(status[1]), AWAY), int(status[1]) not in BY_STATUS
        case ValueError():  # for example on the front matter of a card
            return f"the Hub rejects the request. {' '.join(str(error).split())}", False
    return AWAY, True
