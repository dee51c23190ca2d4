"""Requests to the endpoints: JSON bodies with anything in place of a file."""

import json
from random import Random
from typing import Any

from tests.fuzz import nifti, odd
from tests.fuzz.cases import Case, picture_case, scan_case
from tests.fuzz.picture_seeds import pictures

# Placeholders for paths that are known only when the case runs.
UPLOAD, UPLOADS, SECRET_FILE = "@UPLOAD@", "@UPLOADS@", "@SECRET@"
ENDPOINTS = ("predict", "predict_scan", "predict_batch")
PARAMETERS = {"predict": 4, "predict_scan": 3, "predict_batch": 2}
# Gradio itself answers an empty `session_hash`, and infinity outside `data`, with status 500: such
# requests never reach the endpoints, so neither is tried.
NO_BODIES = (None, True, 0, -1, 2**70, "", "text", [], [[]], {}, {"data": None}, {"data": {}})
FILE_DATA = {"_type": "gradio.FileData"}


def request_case(rng: Random) -> Case:
    """One request: the endpoint, its body as text, and the file that is uploaded before."""
    endpoint = rng.choice(ENDPOINTS)
    name, content = _file(endpoint, rng)
    body = json.dumps(odd_body(endpoint, rng))
    if rng.random() < 0.05:
        body = rng.choice(
            (body[: rng.randrange(len(body))], "", "[]", "null", '{"data"', "[" * 900)
        )
    files = {"endpoint": endpoint.encode(), "body.json": body.encode(), name: content}
    return Case("request", files, {"flair": name})


def _file(endpoint: str, rng: Random) -> tuple[str, bytes]:
    if rng.random() < 0.3:
        case = scan_case(rng) if endpoint == "predict_scan" else picture_case(rng)
        return "sent.bin", next(iter(case.files.values()))
    if endpoint == "predict_scan":
        return "sent.nii", nifti.seeds()[1]
    return "sent.png", pictures()["png"][1]


def odd_body(endpoint: str, rng: Random) -> Any:
    """The body of a request: valid except for up to two values."""
    data: list[Any] = [_upload(), *[None] * (PARAMETERS[endpoint] - 1)]
    if endpoint == "predict_batch":
        data = [[_upload(), _upload()], rng.random() < 0.5]
    for _ in range(rng.choice((0, 1, 1, 2))):
        place = rng.randrange(len(data))
        data[place] = odd_value(rng)
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data))] + [odd_value(rng)] * rng.choice((0, 1, 9))
    body: Any = {"data": data}
    if rng.random() < 0.1:
        body["session_hash"] = rng.choice(odd.TEXTS) or None
    if rng.random() < 0.05:
        body = rng.choice(NO_BODIES)
    return body


def odd_value(rng: Random, depth: int = 0) -> Any:
    """Anything that JSON holds, often something like an upload."""
    scalars = (
        None, True, odd.integer(rng), rng.choice(odd.FLOATS), rng.choice(odd.TEXTS), "", [], {},
        UPLOAD, SECRET_FILE, UPLOADS, "https://example.org/slice.png",
    )  # fmt: skip
    if depth > 2 or rng.random() < 0.4:
        return rng.choice(scalars)
    if rng.random() < 0.3:
        count = rng.choice((1, 2, 3, 201))
        return [odd_value(rng, depth + 1)] * count
    upload = _upload()
    for _ in range(rng.choice((0, 1, 1, 2))):
        key = rng.choice(("path", "path", "url", "orig_name", "size", "mime_type", "meta", "other"))
        upload[key] = odd_value(rng, depth + 1)
    return upload


def _upload(path: str = UPLOAD) -> dict[str, Any]:
    return {"path": path, "orig_name": "slice.png", "meta": dict(FILE_DATA)}
