"""Serve a page, and connect to it."""

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio import http_server
from gradio_client import Client

from brainai.web.interface import launch

# Processes that run tests look for free ports at the same time. If one takes the port that another
# has just found, Gradio tries the same app on one port after the other, 5 seconds each: a test
# run once hung that way, probably because MCP starts only once in an app.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
http_server.INITIAL_PORT_VALUE += 200 * WORKER

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@contextmanager
def served(page: gr.Blocks) -> Iterator[str]:
    """The address of a page while it is served."""
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        yield url
    finally:
        page.close()


def connect(url: str) -> Client:
    """A new client; its certificates are read once, not at every call."""
    context = ssl.create_default_context()
    return Client(url, ssl_verify=context, verbose=False, analytics_enabled=False)


def own(asked: Any, url: str) -> bool:
    return asked.url.startswith((url, "data:", "blob:"))


def wait_until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
