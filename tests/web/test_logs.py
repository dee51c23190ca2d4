"""What libraries write into the log, and what is left of it."""

import io
import logging
import warnings

import pytest
from gradio import queueing, routes

from brainai.web.logs import FOREIGN, log_places_only, without_message

PATIENT = "Mueller^Anna"


@pytest.fixture
def written():
    """All text that reaches the log, in a process that logs locations only."""
    log, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(log)
    root.addHandler(handler)
    log_places_only()
    yield log
    root.removeHandler(handler)
    logging.captureWarnings(False)


def fail(message: str) -> None:
    raise ValueError(message)


@pytest.mark.parametrize("name", [*FOREIGN, "asyncio", "mcp.server", "python_multipart.multipart"])
def test_messages_of_libraries_are_removed_and_their_location_is_kept(written, name):
    try:
        fail(PATIENT)
    except ValueError:
        logging.getLogger(name).exception("failed for %s", PATIENT)
    logging.getLogger(name).warning(f"warned of {PATIENT}")
    if not name.startswith("uvicorn"):  # they may have handlers of their own
        assert "ERROR: ValueError at test_logs:" in written.getvalue()
        assert "WARNING: message at test_logs:" in written.getvalue()
    assert "Mueller" not in written.getvalue()


def test_our_own_messages_are_kept(written):
    logging.getLogger("brainai.web.faults").error("%s at %s", "ValueError", "a place")
    assert "ValueError at a place" in written.getvalue()


def test_warnings_reveal_no_message(written, capsys):
    warnings.warn(f"of {PATIENT}", stacklevel=1)
    assert "Mueller" not in written.getvalue() + capsys.readouterr().err


def test_gradio_prints_only_the_location_of_an_error(written, capsys):
    for module in (queueing, routes):
        try:
            fail(PATIENT)
        except ValueError:
            module.traceback.print_exc()
    assert written.getvalue().count("ValueError at\n") == 2
    assert "Mueller" not in written.getvalue() + capsys.readouterr().err


def test_a_record_is_changed_only_once():
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "a.py", 7, PATIENT, (), None)
    assert without_message(record)
    assert without_message(record)
    assert record.getMessage() == "ERROR: message at a:7"
