"""How much may be sent, how much may wait, and how long files stay."""

MB = 2**20
MAX_SLICE_BYTES = 20 * MB
MAX_SCAN_BYTES = 300 * MB  # of one file; of all files of a series too
MAX_SLICES = 200  # files at once in `Many slices` and `/predict_batch`
MIN_PIXEL_MM, MAX_PIXEL_MM = 0.05, 10.0
MAX_WAITING = 32  # requests in the queue
EVERY_SECONDS, STAY_SECONDS = 300, 3000  # every 5 minutes what is older than 50 is deleted
SESSIONS = 32  # whose last answers the server holds; Gradio would hold 10,000, without end

# Requests in work: long ones have places of their own, so that a slice need not wait for a scan.
SLICE_TURN = {"concurrency_id": "slice", "concurrency_limit": 2}
SCAN_TURN = {"concurrency_id": "scan", "concurrency_limit": 1}
MANY_TURN = {"concurrency_id": "many", "concurrency_limit": 1}
