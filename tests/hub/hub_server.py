"""The part of the Hub that BrainAI uses, on the loopback address, for the real client.

It keeps repositories of any kind with their commits on `main` and their tags, takes uploads by the
LFS protocol (`HF_HUB_DISABLE_XET=1`), and can be told to misbehave.
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
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".png", ".gz", ".bin", ".pt")  # kept apart from the commits, by LFS


class Refused(Exception):
    """An answer other than 200: its status, the header X-Error-Code, and more to say as JSON."""

    def __init__(self, status: int, code: str = "", **said: str) -> None:
        self.status, self.code, self.said = status, code, {"error": "refused", **said}


@dataclass
class Repository:
    """One repository: what every commit holds, the newest last, and which commit a tag names."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")

    def commit(self, files: dict[str, bytes], message: str = "a commit") -> str:
        """The sha of a new commit on main with just these files."""
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)} {id(self)}".encode()).hexdigest()
        self.commits[sha] = files
        self.messages.append(message)
        return sha

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def find(self, revision: str) -> str:
        """The commit of a branch, a tag or a sha."""
        sha = {"main": self.head, **self.tags}.get(revision, revision)
        if sha not in self.commits:
            raise Refused(404, "RevisionNotFound")
        return sha


@dataclass
class Hub:
    """The state of the server, and how it should misbehave."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)  # "models/owner/name"
    users: dict[str, dict] = field(default_factory=dict)  # by token
    objects: dict[str, bytes] = field(default_factory=dict)  # LFS, by SHA-256
    asked: list[str] = field(default_factory=list)  # "GET /api/…", in order
    uploads: Counter = field(default_factory=Counter)  # how often each object was sent whole
    lock: Lock = field(default_factory=Lock)

    let_through: int = 0  # uploads that succeed before others break off
    cut_uploads: int = 0  # uploads that break off in the middle
    cut_downloads: int = 0
    lose_commits: int = 0  # commits that are made but answered with an error
    truncate: str = ""  # this file is sent short, as if it were whole
    status: int = 0  # every answer is this error
    pause: float = 0.0  # seconds before every answer
    hang: bool = False  # files are promised and never come
    answer: bytes = b""  # every answer, in place of the Hub's
    barrier: Barrier | None = None  # awaited before a commit is checked

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
        """Whether it should misbehave in this way once more."""
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

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        time.sleep(self.hub.pause)
        if self.command == "PUT" and self._is_cut():
            return
        body, json_type = self._body(), {"Content-Type": "application/json"}
        try:
            if self.hub.answer:
                self._send(200, self.hub.answer, json_type)
            elif self.hub.status:
                raise Refused(self.hub.status)
            elif "/resolve/" in path:
                self._file(path)
            else:
                self._send(200, json.dumps(self._api(path, body)).encode(), json_type)
        except Refused as error:
            said = json.dumps(error.said).encode()
            self._send(error.status, said, json_type | {"X-Error-Code": error.code})

    do_HEAD = do_POST = do_PUT = do_GET

    def _api(self, path: str, body: bytes) -> object:
        """What is answered as JSON."""
        match path.strip("/").split("/"):
            case "api", "whoami-v2":
                return self._user()
            case "api", "validate-yaml":
                return {"warnings": [], "errors": []}
            case "api", "repos", "create":
                return self._create(json.loads(body))
            case "api", kind, owner, name, *rest:
                repository = self._repository(kind, f"{owner}/{name}", self.command == "POST")
                url = f"{self.hub.url}/{_prefix(kind)}{owner}/{name}"
                return self._of_repository(repository, url, rest, body)
            case "lfs", oid:
                return self._upload(oid, body)
            case [*_, "objects", "batch"]:
                return self._batch(json.loads(body))
        raise Refused(404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _user(self) -> dict:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.hub.users:
            raise Refused(401)
        return self.hub.users[token]

    def _may(self, name: str, write: bool = False) -> bool:
        try:
            user = self._user()
        except Refused:
            return False
        own = {user["name"], *(org["name"] for org in user["orgs"])}
        reads = write and user["auth"]["accessToken"]["role"] == "read"
        return name.split("/")[0] in own and not reads

    def _repository(self, kind: str, name: str, write: bool) -> Repository:
        repository = self.hub.repositories.get(f"{kind}/{name}")
        if repository is None or (repository.private and not self._may(name)):
            raise Refused(404, "RepoNotFound")
        if write and not self._may(name, write=True):
            raise Refused(403)
        return repository

    def _create(self, asked: dict) -> dict:
        user, kind = self._user(), f"{asked.get('type', 'model')}s"
        name = f"{asked.get('organization') or user['name']}/{asked['name']}"
        url = f"{self.hub.url}/{_prefix(kind)}{name}"
        if not self._may(name, write=True):
            raise Refused(403)
        with self.hub.lock:
            if f"{kind}/{name}" in self.hub.repositories:
                raise Refused(409, url=url)
            repository = Repository(private=asked.get("visibility") == "private")
            repository.variables = {v["key"]: v["value"] for v in asked.get("variables") or []}
            self.hub.repositories[f"{kind}/{name}"] = repository
        return {"url": url}

    def _of_repository(
        self, repository: Repository, url: str, rest: list[str], body: bytes
    ) -> object:
        action, revision = (rest or ["revision"])[0], "/".join(rest[1:]) or "main"
        if action == "commit":
            return self._commit(repository, url, body)
        asked = json.loads(body or b"{}")
        if action == "refs":
            tags = [
                {"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit}
                for name, commit in repository.tags.items()
            ]
            return {"branches": [], "tags": tags, "converts": []}
        if action == "variables":
            if asked:
                repository.variables[asked["key"]] = asked["value"]
            return {key: {"value": value} for key, value in repository.variables.items()}
        sha = repository.find(revision)
        files = repository.commits[sha]
        described = [_described(name, content) for name, content in files.items()]
        match action:
            case "revision":
                private, name = repository.private, "/".join(url.split("/")[-2:])
                return {"id": name, "sha": sha, "siblings": described, "private": private}
            case "tree":
                return described
            case "preupload":
                return {"files": [_mode(file["path"], files) for file in asked["files"]]}
            case "tag":
                if asked["tag"] in repository.tags:
                    raise Refused(409)
                repository.tags[asked["tag"]] = sha
                return {}
        raise Refused(404)

    def _commit(self, repository: Repository, url: str, body: bytes) -> dict:
        if self.hub.barrier is not None:
            self.hub.barrier.wait(60)
        header, *lines = [json.loads(line) for line in body.splitlines() if line]
        with self.hub.lock:
            if header["value"].get("parentCommit", repository.head) != repository.head:
                raise Refused(412)
            files = dict(repository.files)
            for line in lines:
                path, value = line["value"]["path"], line["value"]
                if line["key"] == "file":
                    files[path] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[path] = self.hub.objects[value["oid"]]
                else:
                    del files[path]
            sha = repository.commit(files, header["value"]["summary"])
        if self.hub.spend("lose_commits"):
            raise Refused(500)
        return {"commitUrl": f"{url}/commit/{sha}", "commitOid": sha}

    def _batch(self, asked: dict) -> dict:
        objects = asked["objects"]
        for one in objects:
            if one["oid"] not in self.hub.objects:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}
        return {"transfer": "basic", "objects": objects}

    def _is_cut(self) -> bool:
        """Break an upload off in the middle, if it is to fail."""
        if self.hub.spend("let_through") or not self.hub.spend("cut_uploads"):
            return False
        self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
        self.close_connection = True
        self.connection.close()
        return True

    def _upload(self, oid: str, content: bytes) -> dict:
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refused(400)
        self.hub.objects[oid] = content
        self.hub.uploads[oid] += 1
        return {}

    def _file(self, path: str) -> None:
        place, _, rest = path.strip("/").partition("/resolve/")
        *kind, owner, name = place.split("/")
        repository = self._repository((kind or ["models"])[0], f"{owner}/{name}", write=False)
        revision, _, file = rest.partition("/")
        sha = repository.find(revision)
        content = repository.commits[sha].get(file)
        if content is None:
            raise Refused(404, "EntryNotFound")
        if file == self.hub.truncate:
            content = content[: len(content) // 2]
        headers = {"ETag": f'"{_oid(content, file.endswith(LARGE))}"', "X-Repo-Commit": sha}
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if start else 200, content[start:], headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        of_file = "/resolve/" in self.path
        if of_file and self.hub.hang:
            time.sleep(30)
        elif of_file and self.hub.spend("cut_downloads"):
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content)


def _prefix(kind: str) -> str:
    return "" if kind == "models" else f"{kind}/"


def _oid(content: bytes, large: bool) -> str:
    """As the Hub names a file: by its SHA-256, or as git does."""
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _mode(name: str, files: dict[str, bytes]) -> dict:
    large = name.endswith(LARGE)
    known = _oid(files[name], large) if name in files else None
    mode = "lfs" if large else "regular"
    return {"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": known}


def _described(name: str, content: bytes) -> dict:
    """A file as the listings of a commit and of its tree describe it."""
    size, blob, digest = len(content), _oid(content, False), _oid(content, True)
    found = {"type": "file", "path": name, "rfilename": name, "size": size}
    found |= {"oid": blob, "blobId": blob}
    lfs = {"size": size, "oid": digest, "sha256": digest, "pointerSize": 130}
    return found | ({"lfs": lfs} if name.endswith(LARGE) else {})


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that stops waiting is not an error of the server."""


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
