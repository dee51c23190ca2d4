"""How much may be sent, how much may wait, and how long files stay."""

from typing import NamedTuple

MB = 2**20
MAX_SLICE_BYTES = 20 * MB
MAX_SCAN_BYTES = 300 * MB  # of one file; of all files of a series too
MAX_SLICES = 200  # files at once in `Many slices` and `/predict_batch`
MIN_PIXEL_MM, MAX_PIXEL_MM = 0.05, 10.0
EVERY_SECONDS, STAY_SECONDS = 300, 3000  # every 5 minutes what is older than 50 is deleted
SESSIONS = 32  # whose last answers the server holds; Gradio would hold 10,000, without end

# Uploads together. One visitor may send FLAIR, T1c and T2 of the largest scan that is taken; the
# part headers of an upload count too, so a little is added.
VISITOR_BYTES = 3 * MAX_SCAN_BYTES + 10 * MB
TOTAL_BYTES, TOTAL_FILES = 8192 * MB, 120_000
DISK_SHARE = 0.5  # of the disk that would be free without uploads
FRESH_SECONDS = 60  # an upload that no request has named yet is kept for this long

# Requests. A request that names 3 x 5000 files takes about 9 MB of JSON.
MAX_JSON_BYTES = 16 * MB
MAX_NAMED_FILES = 15_000  # FLAIR, T1c and T2 of 5000 files each
MAX_MCP_BYTES = 32 * MB  # a slice of 20 MB as a `data:` address, with room to spare
ALL_JSON_BYTES = 128 * MB  # of all requests that are being read
MIN_SESSION = 6  # characters of a session hash; see docs/api.md

# Requests in work: long ones have places of their own, so that a slice need not wait for a scan.
SLICE_TURN = {"concurrency_id": "slice", "concurrency_limit": 8}  # these share a pass
SCAN_TURN = {"concurrency_id": "scan", "concurrency_limit": 1}
MANY_TURN = {"concurrency_id": "many", "concurrency_limit": 1}


class Patience(NamedTuple):
    """How long a request for one kind of work may wait.

    Attributes:
        seconds: the longest estimated wait at which one more request is taken.
        requests: the most requests that wait, whatever the estimate says; each takes memory.
        assumed: seconds of one piece of work before any has been measured.
    """

    seconds: float
    requests: int
    assumed: float


PATIENCE = {
    "slice": Patience(30, 200, 0.5),
    "scan": Patience(300, 30, 20),
    "many": Patience(300, 30, 20),
}
MAX_WAITING = 1000  # of all kinds and of those without a limit of their own
