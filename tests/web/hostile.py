"""Requests that no page and no client sends."""

import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PLANTED = "Mueller-Anna-1961"  # in every name, path, header and value that is sent
JSON = {"Content-Type": "application/json"}
SESSION = "a-session-of-somebody"
CLOSED = [
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/key",
    "/gradio_api/deep_link?session_hash=a-session",
    "/gradio_api/dev/reload",
    "/gradio_api/component_server",
    "/gradio_api/vibe-code",
    "/gradio_api/vibe-edit",
    "/gradio_api/stream/event",
    "/gradio_api/stream/a/b/1/playlist.m3u8",
    "/gradio_api/proxy=https://example.org/",
    "/gradio_api/file=https://example.org/",
    "/gradio_api/file/etc/hostname",
    "/gradio_api/custom_component/a/client/b/c",
    "/gradio_api/process_recording",
    "/gradio_api/run-history/buckets",
    "/gradio_api/runs",
    "/gradio_api/user",
    "/gradio_api/token",
    "/gradio_api/api/health",
    "/gradio_api/startup-events",
    "/gradio_api/profiling/traces",
    "/gradio_api/mcp/sse",
    "/gradio_api/mcp/messages/",
    "/pwa_icon",
    "/login",
    "/logout",
    "/docs",
    "/openapi.json",
    f"/{PLANTED}",
]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def code(self) -> str | None:
        return self.headers.get("x-error-code")


def ask(url: str, method: str, path: str, body: Any = None, headers: dict | None = None) -> Reply:
    """One request; a body other than bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body, headers = json.dumps(body).encode(), {**JSON, **(headers or {})}
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        if "text/event-stream" in found.get("content-type", ""):
            text = reply.readline() + reply.readline()
        else:
            text = reply.read()
        return Reply(reply.status, found, text.decode(errors="replace"))
    finally:
        connection.close()


def ask_raw(url: str, head: str) -> int:
    """The status of a request whose head is sent verbatim; 0 if there was no answer."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        start = connection.recv(100).split(b" ")
    return int(start[1]) if len(start) > 1 else 0


def upload(url: str, content: bytes, name: str = "a.png", headers: dict | None = None) -> Reply:
    part = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = part.encode() + content + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    return ask(url, "POST", "/gradio_api/upload", body, {**kind, **(headers or {})})


def statuses(url: str, functions: int) -> Iterator[tuple[str, int]]:
    """The statuses of several hundred hostile requests."""
    for path, method in itertools.product(CLOSED, ("GET", "POST", "PUT")):
        yield path, ask(url, method, path).status
    for name, body in bodies():
        for path in ("queue/join", "run/predict", "call/predict", "call/v2/predict", "cancel"):
            reply = ask(url, "POST", f"/gradio_api/{path}", body, JSON)
            yield f"{path}: {name}", reply.status
    for number in range(functions):
        for data in ([PLANTED] * 6, [{"path": f"/{PLANTED}"}] * 4, [None], [file()] * 5):
            for count in (1, 2, 3, 4, 5):
                body = {"data": data[:count], "fn_index": number, "session_hash": SESSION}
                for path in ("queue/join", "run/predict"):
                    reply = ask(url, "POST", f"/gradio_api/{path}", body)
                    yield f"{path} {number} {body}", reply.status
    for head in heads():
        yield head, ask_raw(url, head)
    for name, body, kind in forms():
        headers = {"Content-Type": kind}
        yield name, ask(url, "POST", "/gradio_api/upload?upload_id=b", body, headers).status
    for path in (f"%00{PLANTED}", f"../../{PLANTED}", "%ff%fe", "a" * 5000, "/etc/hostname", "/"):
        yield path, ask(url, "GET", f"/gradio_api/file={path}").status


def file(path: str = f"/etc/{PLANTED}", **others: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": PLANTED, **others}


def bodies() -> Iterator[tuple[str, bytes]]:
    yield "no JSON", PLANTED.encode()
    yield "cut off", b'{"data": ["' + PLANTED.encode()
    yield "a list", b"[1]"
    yield "deep", b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "rather deep", b'{"data": ' + b"[" * 500 + b"]" * 500 + b"}"
    yield "half a character", b'{"data": ["\\ud800", null, null, null]}'
    yield "NUL", b'{"data": [{"path": "/\\u0000"}, null, null, null]}'
    yield "bytes", b"\xff\xfe\x00"
    for index in (-1, 10**6, 10**30, 1.5, "0", PLANTED, [], True, None):
        body = {"data": [PLANTED] * 4, "fn_index": index, "session_hash": SESSION}
        yield f"function {index}", json.dumps(body).encode()
    for session in ("", "a", "../" + PLANTED, 5, ["a"] * 9, "x" * 1000, None):
        body = {"data": [None] * 4, "fn_index": 0, "session_hash": session}
        yield f"session {session}", json.dumps(body).encode()
    for data in (None, 5, PLANTED, {}, [], [PLANTED], [PLANTED] * 50):
        yield f"data {data}", json.dumps({"data": data, "session_hash": SESSION}).encode()
    for other in ("trigger_id", "event_id", "event_data", "batched", "simple_format"):
        body = {"data": [None] * 4, "fn_index": 0, "session_hash": SESSION, other: {PLANTED: 5}}
        yield other, json.dumps(body).encode()
    yield "large", b'{"data": ["' + b"0" * (17 * 2**20) + b'"]}'


def heads() -> Iterator[str]:
    for host in ("[", f"[{PLANTED}", f"{PLANTED} b", "a:b:c", "http://a", "é", ""):
        yield f"GET /config HTTP/1.1\nHost: {host}\nOrigin: http://[\nConnection: close\n\n"
    yield f"GET / HTTP/1.0\nOrigin: http://{PLANTED}\n\n"
    yield f"{PLANTED} / HTTP/1.1\nHost: a\nConnection: close\n\n"
    yield f"GET /{PLANTED} HTTP/9.9\nHost: a\n\n"
    yield f"GET /config HTTP/1.1\nHost: a\nX-Forwarded-Host: [{PLANTED}\nConnection: close\n\n"
    yield f"GET /config HTTP/1.1\nHost: a\nX-Gradio-Server: [{PLANTED}\nConnection: close\n\n"


def forms() -> Iterator[tuple[str, bytes, str]]:
    kind = "multipart/form-data; boundary=x"
    yield "no form", PLANTED.encode(), "text/plain"
    yield "no boundary", PLANTED.encode(), "multipart/form-data"
    yield "no part", PLANTED.encode(), kind
    yield "empty", b"", kind
    field = f'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n{PLANTED}\r\n--x--\r\n'
    yield "no file", field.encode(), kind
    yield "cut off", field.encode()[:-8], kind
    yield "no name", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", kind
    for name in ("../..", "\0", "a" * 4000, ".", "\\", "CON", f"{PLANTED}/../../x"):
        part = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\na'
        yield f"name {name}", f"{part}\r\n--x--\r\n".encode(), kind
    header = f"--x\r\nX-{PLANTED}: {'a' * 20_000}\r\n"
    yield "large header", header.encode(), kind
