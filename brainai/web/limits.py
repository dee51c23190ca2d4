"""Limits on uploads, on requests and on waiting, and how long files are kept."""

from typing import NamedTuple

MB = 2**20
MAX_SLICE_BYTES = 20 * MB
MAX_SCAN_BYTES = 300 * MB  # of one file, and of all files of a series together
MAX_BATCH_FILES = 200  # files at once in `Many slices` and `/predict_batch`
SWEEP_SECONDS, STAY_SECONDS = 300, 3000  # every 5 minutes, files older than 50 minutes are deleted
UNFETCHED_SECONDS = 600  # how long an answer is kept for a client that does not fetch it
SESSIONS = 32  # sessions whose last answers are kept; Gradio would keep 10,000 for ever

# Uploads. One visitor may send FLAIR, T1c and T2 of the largest scan; 10 MB are added because the
# headers of the parts of an upload count too.
VISITOR_BYTES = 3 * MAX_SCAN_BYTES + 10 * MB
TOTAL_BYTES, TOTAL_FILES = 8192 * MB, 120_000
DISK_SHARE = 0.5  # largest share of the disk that would be free without uploads
FRESH_SECONDS = 60  # how long an upload is kept before a request names it

# Requests. A request that names 3 x 5000 files takes about 9 MB of JSON.
MAX_JSON_BYTES = 16 * MB
MAX_NAMED_FILES = 15_000  # FLAIR, T1c and T2 of 5000 files each
MAX_PARTS = 400_000  # keys and values of the JSON; 15,000 files have about 285,000
MAX_MCP_BYTES = 32 * MB  # enough for a slice of 20 MB as a `data:` URL
ALL_JSON_BYTES = 128 * MB  # of all current requests together
MIN_SESSION = 6  # characters of a session hash; see docs/api.md

# Running requests. Scans and slices have separate queues, so that a slice never waits for a scan.
SLICE_TURN = {"concurrency_id": "slice", "concurrency_limit": 8}  # these share a pass
SCAN_TURN = {"concurrency_id": "scan", "concurrency_limit": 1}
MANY_TURN = {"concurrency_id": "many", "concurrency_limit": 1}


class Patience(NamedTuple):
    """How long a request for one kind of work may wait.

    Attributes:
        seconds: the longest estimated wait at which one more request is accepted.
        requests: the most requests that may wait, whatever the estimate, since each takes memory.
        assumed: seconds that a request takes, until the first has been measured.
    """

    seconds: float
    requests: int
    assumed: float


PATIENCE = {
    "slice": Patience(30, 200, 0.5),
    "scan": Patience(300, 30, 20),
    "many": Patience(300, 30, 20),
}
MAX_WAITING = 1000  # of all kinds together
