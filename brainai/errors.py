"""Errors that a user can mend.

Each message is one sentence or two: what was expected, what was found, where, and what to do next.
Command lines print it and exit with 2; the web interface shows it as it is, so a message that can
reach a visitor names no path of the server.
"""


class BrainAIError(Exception):
    """Base of the errors that a user can mend."""


class DataError(BrainAIError):
    """A scan, picture or data set is not what is needed.

    Attributes:
        code: what programs tell errors apart by; docs/api.md lists those that reach them. Messages
            may be reworded, codes stay.
    """

    def __init__(self, message: str, code: str = "unsuitable"):
        super().__init__(message)
        self.code = code


class OutOfScope(DataError):
    """What was brought can be read, but is nothing that the network may judge.

    Attributes:
        reason: a few words, such as "color picture".
    """

    def __init__(self, message: str, reason: str = ""):  # one without: pickle makes it so
        super().__init__(message, "out_of_scope")
        self.reason = reason


class WeightsError(BrainAIError):
    """Weights, a checkpoint or a model folder are missing, damaged or of another kind."""


class HubError(BrainAIError):
    """The Hugging Face Hub cannot be reached, or does not do what it is asked.

    Attributes:
        unreachable: nothing came back that says no; the same may work later.
    """

    def __init__(self, message: str, *, unreachable: bool = False):
        super().__init__(message)
        self.unreachable = unreachable


class ConfigError(BrainAIError):
    """Options contradict each other or the machine."""


class StorageError(BrainAIError):
    """The operating system does not write or read a file: the disk is full, for instance."""
