"""As much of the Hub as a download asks for, on the loopback address, for the real client."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """One repository with one commit, also called main; its attributes are set by
    `serve`."""

    folder: Path
    repository: str
    token: str | None
    cut: bool

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        api, files = f"/api/models/{self.repository}/", f"/{self.repository}/resolve/{SHA}/"
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            return self._send(401, b"{}", body, {"X-Error-Code": "RepoNotFound"})
        if path in (f"{api}revision/main", f"{api}revision/{SHA}"):
            return self._send_json({"id": self.repository, "sha": SHA, "siblings": []}, body)
        if path.startswith(f"{api}revision/"):
            return self._send(404, b"{}", body, {"X-Error-Code": "RevisionNotFound"})
        if path == f"{api}tree/{SHA}":
            entries = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": _tag(f)}
                for f in sorted(self.folder.iterdir())
            ]
            return self._send_json(entries, body)
        if path.startswith(files) and (self.folder / path.removeprefix(files)).is_file():
            file = self.folder / path.removeprefix(files)
            return self._send(200, file.read_bytes(), body, {"ETag": f'"{_tag(file)}"'})
        return self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def _send_json(self, value: object, body: bool) -> None:
        self._send(200, json.dumps(value).encode(), body, {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "X-Repo-Commit": SHA}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            broken = self.cut and "/resolve/" in self.path
            self.wfile.write(content[: len(content) // 2] if broken else content)
            self.close_connection = broken

    def log_message(self, *_: object) -> None:
        pass


def _tag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@contextmanager
def serve(
    folder: Path, repository: str, token: str | None = None, *, cut: bool = False
) -> Iterator[str]:
    """The address of a Hub that holds the files of a folder as one repository.

    Args:
        cut: every file breaks off in the middle.
    """
    values = {"folder": folder, "repository": repository, "token": token, "cut": cut}
    handler = type("Served", (Hub,), values)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
