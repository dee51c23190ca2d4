"""Receive uploads, in place of Gradio's own route.

Gradio limits each file but not all files together, and leaves interrupted uploads on the disk. Here
each upload has a folder of its own. It is counted while it arrives, and the whole folder is deleted
if the upload is refused or interrupted. Gradio still parses the form.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from gradio.route_utils import parse_options_header, upload_fn
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from brainai.errors import DataError
from brainai.web.limits import MAX_SCAN_BYTES, MB
from brainai.web.proxies import visitor_key
from brainai.web.quota import Amount, UploadLedger
from brainai.web.refusals import refusal_text

MOST_PARTS = 1000  # in one request; Gradio's limit


def upload_route(ledger: UploadLedger) -> Callable:
    """Return the function that receives uploads and counts them in a ledger."""

    async def upload(request: Request) -> Response:
        visitor = visitor_key(request.client.host if request.client else "")
        counted = _Counted(request.receive, ledger, visitor, _boundary(request))
        folder = Path(get_upload_folder()) / secrets.token_hex(16)
        ledger.coming.add(folder.name)
        try:
            files = await _received(Request(request.scope, counted.receive), folder)
            ledger.keep(visitor, folder.name, counted.taken, _size(files))
            return JSONResponse(files)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            ledger.give_back(visitor, counted.taken)
            if not isinstance(error, Exception):
                raise
            return refusal_text(_upload_error(counted.refused or error))
        finally:
            ledger.coming.discard(folder.name)

    return upload


async def _received(request: Request, folder: Path) -> list[str]:
    """Store the files of a request in a folder, and return their paths."""
    upload_id = request.query_params.get("upload_id")
    progress = file_upload_statuses if upload_id else None
    files, _, _ = await upload_fn(
        request, folder, MAX_SCAN_BYTES, upload_id, force_move=True, upload_progress=progress
    )
    if not files:
        raise DataError("There is no file in this upload: send it as `files`.", "bad_request")
    return [str(file) for file in files]


class _Counted:
    """A request whose body is counted, and refused as soon as there is no more room."""

    def __init__(self, receive: Receive, ledger: UploadLedger, visitor: str, boundary: bytes):
        self._receive, self._ledger, self._visitor = receive, ledger, visitor
        self._boundary, self._end = b"--" + boundary, b""
        self.taken = Amount()
        self.refused: DataError | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        body = message.get("body", b"")
        new = Amount(len(body), self._parts(body))
        try:
            gone = self._ledger.take(self._visitor, new)
        except DataError as error:
            self.refused = error
            raise
        self.taken = self.taken.plus(new)
        if gone:
            await asyncio.to_thread(delete_uploads, gone)
        return message

    def _parts(self, body: bytes) -> int:
        """Count the parts that begin in this piece of the body; the last boundary counts too."""
        text = self._end + body
        keep = len(self._boundary) - 1
        self._end = text[-keep:] if keep else b""
        return text.count(self._boundary)


async def recount(ledger: UploadLedger) -> None:
    """Compare the ledger with the disk: old files are deleted, and the server writes files too."""
    looked = ledger.clock()
    ledger.reconcile(await asyncio.to_thread(_on_disk, Path(get_upload_folder())), looked)


def _on_disk(folder: Path) -> dict[str, Amount]:
    """Return what each upload in the folder of uploads takes; a file in the folder is one too."""
    amounts: defaultdict[str, Amount] = defaultdict(Amount)
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            upload = file.relative_to(folder).parts[0]
            with contextlib.suppress(OSError):  # it may be deleted at any time
                amounts[upload] = amounts[upload].plus(Amount(file.lstat().st_size, 1))
    return dict(amounts)


def delete_uploads(names: list[str]) -> None:
    """Delete these uploads from the disk."""
    for name in names:
        place = Path(get_upload_folder()) / name
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):  # it was a folder, or is gone
            place.unlink()


def _boundary(request: Request) -> bytes:
    """Return the boundary between the parts of a request; a placeholder if none is declared."""
    with contextlib.suppress(Exception):
        return parse_options_header(request.headers.get("Content-Type", ""))[1][b"boundary"]
    return b"no boundary"


def _size(files: list[str]) -> Amount:
    return Amount(sum(Path(file).stat().st_size for file in files), len(files))


def _upload_error(error: Exception) -> DataError:
    """Return why an upload was not accepted."""
    if isinstance(error, DataError):
        return error
    if "maximum allowed size" in str(error):
        return DataError(f"Send a file of at most {MAX_SCAN_BYTES // MB} MB.", "too_large")
    if "Too many files" in str(error):
        return DataError(f"Send at most {MOST_PARTS} files in one request.", "too_many_files")
    return DataError(
        "This upload cannot be read: send multipart/form-data, with each file in a field `files`.",
        "bad_request",
    )
