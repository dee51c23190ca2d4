"""Errors that a user can correct.

Each message is one sentence or two: what was expected, what was found, where, and what to do next.
Commands print the message and exit with status 2. The web interface shows the message unchanged, so
a message that can reach a visitor must not name a path of the server.
"""


class BrainAIError(Exception):
    """Base class of the errors that a user can correct."""


class DataError(BrainAIError):
    """A scan, picture or data set is not as expected.

    Attributes:
        code: stable name of the error for programs; docs/api.md lists the codes. The message may
            change, the code does not.
    """

    def __init__(self, message: str, code: str = "unsuitable"):
        super().__init__(message)
        self.code = code


class OutOfScope(DataError):
    """A file can be read, but is out of scope: the network must not judge it.

    Attributes:
        reason: why, in a few words such as "color picture".
    """

    # The default is needed by pickle, which first calls the class with the message alone.
    def __init__(self, message: str, reason: str = ""):
        super().__init__(message, "out_of_scope")
        self.reason = reason


class WeightsError(BrainAIError):
    """Weights, a checkpoint or a model folder are missing, damaged or of the wrong kind."""


class HubError(BrainAIError):
    """The Hugging Face Hub cannot be reached, or refuses a request.

    Attributes:
        unreachable: whether the Hub could not be reached, so that trying again later may work.
    """

    def __init__(self, message: str, *, unreachable: bool = False):
        super().__init__(message)
        self.unreachable = unreachable


class ConfigError(BrainAIError):
    """Options contradict each other or the machine."""


class StorageError(BrainAIError):
    """The operating system cannot write or read a file, for instance because the disk is full."""
