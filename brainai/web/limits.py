"""How much may be sent, how much may wait, and how long files stay."""

MB = 2**20
MAX_SLICE_BYTES = 20 * MB
MAX_SCAN_BYTES = 300 * MB  # of one file; of all files of a series too
MAX_SLICES = 200  # files at once in `Many slices` and `/predict_batch`
MIN_PIXEL_MM, MAX_PIXEL_MM = 0.05, 10.0
MAX_WAITING = 32  # requests in the queue
CACHE_SECONDS = (300, 3000)  # look every 5 minutes, delete what is older than 50: within the hour

# Requests in work: long ones have places of their own, so that they keep no slice waiting.
SLICE_TURN = {"concurrency_id": "slice", "concurrency_limit": 2}
SCAN_TURN = {"concurrency_id": "scan", "concurrency_limit": 1}
MANY_TURN = {"concurrency_id": "many", "concurrency_limit": 1}
