"""Whatever goes wrong with the Hub, in one sentence that says what to do next.

No sentence holds what the client or the server said of a request, which may name a token; only what
they say of a card's front matter.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
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
    401: "the Hub does not accept the token: `hf auth login` again, or set another HF_TOKEN.",
    402: "the Hub asks for a paid plan first.",
    403: "the token has no right to do this: take one that may write, of an account that may.",
    409: CHANGED,
    412: CHANGED,
    413: "it is larger than the Hub takes.",
    429: "the Hub had too many requests from here: wait some minutes.",
}
AWAY = "the Hub was not reached, or the connection broke off: try again later."
XET_STATUS = re.compile(r"status (?:client|server) error \((\d{3})")  # told in words alone
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def told(what: str) -> Iterator[None]:
    """What the Hub's client raises inside is raised as a HubError.

    Args:
        what: what did not happen, such as "me/model was not fetched".
    """
    try:
        yield
    # Its failures have no base of their own: a RuntimeError or ValueError comes from an upload.
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise hub_error(what, error) from error


def hub_error(what: str, error: BaseException) -> HubError:
    """The error to raise instead of one of the client's."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__  # a thread of an upload wraps what happened to it
    reason, unreachable = _reason(error)
    return HubError(f"{what}: {reason}", unreachable=unreachable)


def _reason(error: BaseException) -> tuple[str, bool]:
    match error:
        case OfflineModeIsEnabled():
            return OFFLINE, True
        case LocalTokenNotFoundError():
            return NOT_LOGGED_IN, False
        case GatedRepoError():
            return "access to it has to be asked for on its page.", False
        case RevisionNotFoundError():
            return NO_REVISION, False
        case RepositoryNotFoundError():
            return NOT_FOUND, False
        case BadRequestError():
            return "the Hub does not take it as it is (HTTP 400): check name and card.", False
        case HfHubHTTPError():
            status = error.response.status_code
            known = BY_STATUS.get(status)
            if known is not None:
                return known, status == 429
            return f"the Hub has a fault of its own (HTTP {status}): try again later.", True
        case OSError() if error.errno in DISK:
            return f"the Hub's cache on this disk cannot be written ({error.strerror}).", False
        case PermissionError():  # of an upload by Xet
            return BY_STATUS[403], False
        case OSError() if status := XET_STATUS.search(str(error)):
            return BY_STATUS.get(int(status[1]), AWAY), int(status[1]) not in BY_STATUS
        case ValueError():  # among others, of the card's front matter, line by line
            return f"the Hub does not take it as it is. {' '.join(str(error).split())}", False
    return AWAY, True
