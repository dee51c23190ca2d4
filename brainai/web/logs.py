"""The log of the server: where something failed, and the type of the error, and nothing else.

Messages of libraries quote files, headers and arguments, which may name a patient.
"""

import logging
import sys
from types import SimpleNamespace

from gradio import queueing, route_utils, routes

from brainai.web.places import log_place

OURS = "brainai"
# Loggers with handlers of their own, or whose records do not reach those of the root logger.
FOREIGN = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def without_message(record: logging.LogRecord) -> bool:
    """Filter for log records: records of libraries keep only their place and the type of error.

    Always returns True, so no record is dropped.
    """
    if record.name.split(".")[0] != OURS and not getattr(record, "plain", False):
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "message"
        record.msg = f"{record.levelname}: {kind} at {record.module}:{record.lineno}"
        record.args, record.exc_info, record.exc_text, record.stack_info = (), None, None, None
        record.plain = True
    return True


def log_places_only() -> None:
    """Keep the messages of libraries out of the log of this process.

    Gradio 6.31 prints tracebacks in three modules without using `logging`: they are logged as a
    place and a type too.
    """
    logging.captureWarnings(True)  # warnings quote arguments too
    if not logging.getLogger().handlers:
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        if without_message not in handler.filters:
            handler.addFilter(without_message)
    for name in FOREIGN:
        if without_message not in logging.getLogger(name).filters:
            logging.getLogger(name).addFilter(without_message)
    for module in (queueing, routes, route_utils):
        module.traceback = SimpleNamespace(print_exc=_log_current)


def _log_current() -> None:
    """Log the current error; replaces `traceback.print_exc`."""
    error = sys.exc_info()[1]
    if error is not None:
        log_place(error)
