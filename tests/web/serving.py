"""A page served, and asked."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio_client import Client

from brainai.web.interface import launch

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
