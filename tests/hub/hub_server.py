"""As much of the Hub as BrainAI asks for, on the loopback address, for the real client.

It keeps repositories of any kind with their commits, branches and tags, takes uploads by the LFS
protocol (`HF_HUB_DISABLE_XET=1`), and can be told to misbehave.
"""

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Lock, Thread
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".png", ".gz", ".bin", ".pt")  # kept apart from the commits, by LFS
KINDS = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}


@dataclass
class Repository:
    """One repository: what every commit holds, and which commit a name stands for."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")

    def commit(self, files: dict[str, bytes], message: str = "a commit") -> str:
        """The sha of a new commit on main with just these files."""
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)} {id(self)}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches["main"] = sha
        self.messages.append(message)
        return sha

    @property
    def head(self) -> str:
        return self.branches["main"]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def find(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a sha."""
        known = self.branches | self.tags | {sha: sha for sha in self.commits}
        return known.get(revision)


@dataclass
class Hub:
    """The state of the server, and how it is to misbehave."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)  # "models/owner/name"
    users: dict[str, dict] = field(default_factory=dict)  # by token
    objects: dict[str, bytes] = field(default_factory=dict)  # LFS, by SHA-256
    asked: list[str] = field(default_factory=list)  # "GET /api/…", in order
    uploads: Counter = field(default_factory=Counter)  # how often each object was sent whole
    lock: Lock = field(default_factory=Lock)

    let_through: int = 0  # so many uploads, before
    cut_uploads: int = 0  # so many break off in the middle
    cut_downloads: int = 0
    lose_commits: int = 0  # so many commits are made without telling so
    truncate: str = ""  # this file is sent short, as if it were whole
    status: int = 0  # every answer is this error
    pause: float = 0.0  # seconds before every answer
    hang: bool = False  # files are promised and never come
    answer: bytes = b""  # every answer, in place of the Hub's
    barrier: Barrier | None = None  # what meets before a commit is looked at

    def user(self, token: str, name: str, role: str = "write", orgs: tuple[str, ...] = ()) -> None:
        """Make a token known."""
        self.users[token] = {
            "type": "user",
            "name": name,
            "orgs": [{"name": org, "roleInOrg": "write"} for org in orgs],
            "auth": {"accessToken": {"role": role}},
        }

    def hold(self, name: str, folder: Path, kind: str = "models", **options: bool) -> Repository:
        """Keep the files of a folder as one commit of a new repository."""
        repository = self.repositories[f"{kind}/{name}"] = Repository(**options)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        repository.commit({p.relative_to(folder).as_posix(): p.read_bytes() for p in paths})
        return repository

    def spend(self, name: str) -> bool:
        """Whether it is to misbehave in this way once more."""
        with self.lock:
            left = getattr(self, name)
            setattr(self, name, max(0, left - 1))
            return left > 0


class Answer(BaseHTTPRequestHandler):
    """One request; `hub` is set by `serve`."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_PUT(self) -> None:
        self._route("PUT")

    def _route(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.hub.asked.append(f"{method} {path}")
        time.sleep(self.hub.pause)
        if method == "PUT":
            return self._upload(path.removeprefix("/lfs/"))
        body = self._body()
        if self.hub.answer:
            return self._send(200, self.hub.answer, {"Content-Type": "application/json"})
        if self.hub.status:
            return self._json({"error": "at the moment"}, self.hub.status)
        if path == "/api/whoami-v2":
            user = self._user()
            return self._json(user or {"error": "Invalid"}, 200 if user else 401)
        if path == "/api/validate-yaml":
            return self._json({"warnings": [], "errors": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path.startswith("/api/"):
            return self._repository_api(method, path.removeprefix("/api/"), body)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        return self._file(path.lstrip("/"), parse_qs(parts.query))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _user(self) -> dict | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        return self.hub.users.get(token)

    def _may(self, name: str, write: bool = False) -> bool:
        user = self._user()
        if user is None:
            return False
        own = {user["name"], *(org["name"] for org in user["orgs"])}
        return name.split("/")[0] in own and not (
            write and user["auth"]["accessToken"]["role"] == "read"
        )

    def _create(self, asked: dict) -> None:
        name = f"{asked.get('organization') or (self._user() or {}).get('name')}/{asked['name']}"
        kind = f"{asked.get('type', 'model')}s"
        if not self._user():
            return self._json({"error": "Invalid username or password."}, 401)
        if not self._may(name, write=True):
            return self._json({"error": "You have no right to create here."}, 403)
        url = f"{self.hub.url}/{KINDS[kind]}{name}"
        with self.hub.lock:
            if f"{kind}/{name}" in self.hub.repositories:
                return self._json({"error": "You already created this repo", "url": url}, 409)
            repository = Repository(private=asked.get("visibility") == "private")
            repository.variables = {v["key"]: v["value"] for v in asked.get("variables") or []}
            self.hub.repositories[f"{kind}/{name}"] = repository
        return self._json({"url": url})

    def _repository_api(self, method: str, path: str, body: bytes) -> None:
        kind, owner, name, *rest = path.split("/")
        action, revision = (rest or [""])[0], "/".join(rest[1:]) or "main"
        full = f"{owner}/{name}"
        repository = self.hub.repositories.get(f"{kind}/{full}")
        if repository is None or (repository.private and not self._may(full)):
            return self._json(
                {"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"}
            )
        if method == "POST" and not self._may(full, write=True):
            return self._json({"error": "Forbidden: you may only read."}, 403)
        if action == "refs":
            return self._json(self._refs(repository))
        if action == "variables":
            if method == "POST":
                asked = json.loads(body)
                repository.variables[asked["key"]] = asked["value"]
            return self._json({k: {"value": v} for k, v in repository.variables.items()})
        sha = repository.find(revision)
        if sha is None:
            return self._json(
                {"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"}
            )
        files = repository.commits[sha]
        match action:
            case "" | "revision":
                siblings = [_sibling(name, content) for name, content in files.items()]
                return self._json(
                    {"id": full, "sha": sha, "siblings": siblings, "private": repository.private}
                )
            case "tree":
                return self._json([_entry(name, content) for name, content in files.items()])
            case "preupload":
                return self._json(
                    {"files": [self._mode(f, files) for f in json.loads(body)["files"]]}
                )
            case "commit":
                return self._commit(repository, f"{self.hub.url}/{KINDS[kind]}{full}", body)
            case "tag":
                return self._tag(repository, sha, json.loads(body)["tag"])
        return self._json({"error": "not found"}, 404)

    def _refs(self, repository: Repository) -> dict:
        def listed(kind: str, names: dict[str, str]) -> list[dict]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}
                for name, sha in names.items()
            ]

        return {
            "branches": listed("heads", repository.branches),
            "tags": listed("tags", repository.tags),
            "converts": [],
        }

    def _mode(self, file: dict, files: dict[str, bytes]) -> dict:
        large, content = file["path"].endswith(LARGE), files.get(file["path"])
        known = None if content is None else _oid(content, large)
        mode = "lfs" if large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known}

    def _tag(self, repository: Repository, sha: str, tag: str) -> None:
        if tag in repository.tags:
            return self._json({"error": "Tag reference exists already"}, 409)
        repository.tags[tag] = sha
        return self._json({})

    def _commit(self, repository: Repository, url: str, body: bytes) -> None:
        if self.hub.barrier is not None:
            self.hub.barrier.wait(60)
        lines = [json.loads(line) for line in body.splitlines() if line]
        header = lines[0]["value"]
        with self.hub.lock:
            if header.get("parentCommit", repository.head) != repository.head:
                return self._json({"error": "A commit has happened since. Please refresh."}, 412)
            files = dict(repository.files)
            for line in lines[1:]:
                key, value = line["key"], line["value"]
                if key == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif key == "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                else:
                    del files[value["path"]]
            sha = repository.commit(files, header["summary"])
        if self.hub.spend("lose_commits"):
            return self._json({"error": "lost"}, 500)
        return self._json({"commitUrl": f"{url}/commit/{sha}", "commitOid": sha})

    def _batch(self, asked: dict) -> None:
        objects = []
        for one in asked["objects"]:
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}
            known = one["oid"] in self.hub.objects
            objects.append(one if known else {**one, "actions": upload})
        return self._json({"transfer": "basic", "objects": objects})

    def _upload(self, oid: str) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if not self.hub.spend("let_through") and self.hub.spend("cut_uploads"):
            self.rfile.read(size // 2)
            self.close_connection = True
            return self.connection.close()
        content = self._body()
        if hashlib.sha256(content).hexdigest() != oid:
            return self._json({"error": "another file"}, 400)
        self.hub.objects[oid] = content
        self.hub.uploads[oid] += 1
        return self._json({})

    def _file(self, path: str, query: dict) -> None:
        place, _, rest = path.partition("/resolve/")
        kind = next(
            (k for k, prefix in KINDS.items() if prefix and place.startswith(prefix)), "models"
        )
        name = place.removeprefix(KINDS[kind])
        repository = self.hub.repositories.get(f"{kind}/{name}")
        if repository is None or (repository.private and not self._may(name)):
            return self._json({}, 404, {"X-Error-Code": "RepoNotFound"})
        revision, _, file = rest.partition("/")
        sha = repository.find(revision)
        if sha is None:
            return self._json({}, 404, {"X-Error-Code": "RevisionNotFound"})
        content = repository.commits[sha].get(file)
        if content is None:
            return self._json({}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        if file == self.hub.truncate:
            content = content[: len(content) // 2]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{_oid(content, file.endswith(LARGE))}"', "X-Repo-Commit": sha}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if start else 200, content[start:], headers)

    def _json(self, value: object, status: int = 200, headers: dict | None = None) -> None:
        content = {"Content-Type": "application/json", **(headers or {})}
        self._send(status, json.dumps(value).encode(), content)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.hang and "/resolve/" in self.path:
            return time.sleep(30)
        whole = "/resolve/" not in self.path or not self.hub.spend("cut_downloads")
        self.wfile.write(content if whole else content[: len(content) // 2])
        if not whole:
            self.close_connection = True


def _oid(content: bytes, large: bool) -> str:
    """As the Hub names a file: by its SHA-256, or as git does."""
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(name: str, content: bytes) -> dict:
    entry = {"type": "file", "path": name, "size": len(content), "oid": _oid(content, False)}
    if name.endswith(LARGE):
        entry["lfs"] = {"oid": _oid(content, True), "size": len(content), "pointerSize": 130}
    return entry


def _sibling(name: str, content: bytes) -> dict:
    size, oid = len(content), _oid(content, False)
    sibling = {"rfilename": name, "size": size, "blobId": oid}
    if name.endswith(LARGE):
        sibling["lfs"] = {"size": size, "sha256": _oid(content, True), "pointerSize": 130}
    return sibling


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever stops waiting for an answer is no error of the server."""


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub without repositories, with one user: "me", whose token is hf_right."""
    hub = Hub()
    hub.user("hf_right", "me", orgs=("lab",))
    server = Server(("127.0.0.1", 0), type("Bound", (Answer,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
