"""Start a server for a benchmark, and ask it through the Python client."""

import contextlib
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence

from gradio_client import Client, handle_file

SLICE = "examples/tumor_frontal.png"


@contextlib.contextmanager
def serving(arguments: Sequence[str], port: int) -> Iterator[str]:
    """Start Python with these arguments as a server, and yield its address once it answers."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "0"}
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            while server.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{url}/config").close()
                    break
                time.sleep(0.02)
            yield url
        finally:
            server.terminate()


def connect(url: str, context: ssl.SSLContext | bool) -> Client:
    return Client(url, ssl_verify=context, verbose=False, analytics_enabled=False)


def ask(client: Client, parameter: str = "flair") -> None:
    """Ask for the answer for a slice."""
    client.predict(**{parameter: handle_file(SLICE)}, api_name="/predict")
