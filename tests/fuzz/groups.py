"""Cases by number: the same group, seed and index always give the same files."""

from random import Random

from tests.fuzz.bodies import request_case
from tests.fuzz.cases import Case, answer_case, heavy_case, picture_case, scan_case

HEAVY_EVERY = 250  # one in so many scans is large, deep or a bomb
CHILDREN = {  # the child that runs a group's cases
    "pictures": "readers",
    "scans": "readers",
    "answers": "answers",
    "requests": "requests",
}


def make_case(group: str, seed: int, index: int) -> Case:
    """A case of "pictures", "scans", "answers" or "requests"."""
    rng = Random(f"{seed}/{group}/{index}")
    if group == "pictures":
        return picture_case(rng)
    if group == "scans":
        if index % HEAVY_EVERY == HEAVY_EVERY - 1:
            return heavy_case(index // HEAVY_EVERY, rng)
        return scan_case(rng)
    if group == "requests":
        return request_case(rng)
    return answer_case(rng)
