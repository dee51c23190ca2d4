"""Ask the endpoints with the Python client and over HTTP, and check answers against the schema."""

import json
import urllib.request
from pathlib import Path

import jsonschema
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "api.schema.json").read_text())


def ask(client: Client, flair: Path, pixel_mm: float | None = None, **others: Path) -> dict:
    """The answer of `/predict`, checked against the schema."""
    files = {name: handle_file(str(file)) for name, file in {"flair": flair, **others}.items()}
    return checked(client.predict(**files, pixel_mm=pixel_mm, api_name="/predict"), "predict")


def checked(answer: dict, definition: str) -> dict:
    jsonschema.validate(answer, {**SCHEMA, "$ref": f"#/$defs/{definition}"})
    return answer


def refusal(client: Client, flair: Path, code: str, **others: Path) -> str:
    """The message of an error, which has this code and reveals nothing about the server."""
    with pytest.raises(AppError) as caught:
        ask(client, flair, **others)
    assert caught.value.title == code
    return harmless(str(caught.value.message), flair.parent)


def harmless(sentence: str, folder: Path) -> str:
    for leak in ("Traceback", str(folder), "gradio", ".py"):
        assert leak not in sentence
    return sentence


def run_over_http(url: str, name: str) -> dict:
    """The answer of an endpoint without a queue, as docs/api.md describes it."""
    request = urllib.request.Request(
        f"{url}gradio_api/run/{name}", b'{"data": []}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["data"][0]


def call_over_http(url: str, data: list, name: str = "predict") -> str:
    """The stream that `/gradio_api/call/…` gives, as docs/api.md describes it."""
    call = f"{url}gradio_api/call/{name}"
    request = urllib.request.Request(
        call, json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as reply:
        return reply.read().decode()
