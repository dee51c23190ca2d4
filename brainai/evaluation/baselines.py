"""Two baselines that look for no lesion, fitted on `train`: does the network see more than they?

A tumor lies more often in the middle of a scan than at its ends, so the place of a slice alone
tells much; a network is worth its weights only as far as it does better.
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from brainai.data.store import Store, open_store
from brainai.evaluation.metrics import SliceScores
from brainai.evaluation.score import split_rows

BASELINES = {  # name: how many of the columns of `features` it sees
    "position": 1,
    "position, head area, mean gray level": 3,
}
HEAD_LEVEL = 26  # of 255: what is brighter is head
STRIDE = 4  # of the pixels that are read: areas and means need no more


def score_baselines(dataset_folder: str | Path, split: str, size: int) -> dict[str, SliceScores]:
    """What each baseline says of every slice of a split.

    One logistic regression for each source, so that a baseline may know how its scans lie; a source
    of which `train` has not both classes is judged by one that is fitted on all of them.

    Args:
        size: of the pictures looked at, pixels; one whose store is there costs least.
    Returns:
        Scores by the name of the baseline; empty where `train` does not hold both classes.
    Raises:
        ConfigError: an unknown split. DataError: it has no slices.
    """
    store = open_store(dataset_folder, size, progress=False)
    rows = split_rows(store, split, dataset_folder)
    train = np.flatnonzero([record.split == "train" for record in store.records])
    labels = np.array([store.records[row].label for row in train])
    if len(set(labels)) < 2:
        return {}
    seen, asked = features(store, train), features(store, rows)
    source_seen, source_asked = (
        np.array([store.records[row].source for row in part]) for part in (train, rows)
    )
    found = {}
    for name, columns in BASELINES.items():
        probability = np.empty(len(rows))
        for source in np.unique(source_asked):
            own = source_seen == source
            if len(set(labels[own])) < 2:
                own[:] = True
            model = make_pipeline(
                StandardScaler(), PolynomialFeatures(3), LogisticRegression(max_iter=1000)
            ).fit(seen[own, :columns], labels[own])
            here = source_asked == source
            probability[here] = model.predict_proba(asked[here, :columns])[:, 1]
        found[name] = SliceScores.from_records([store.records[row] for row in rows], probability)
    return found


def features(store: Store, rows: np.ndarray) -> np.ndarray:
    """Of each slice its position from 0 to 1, the share of the picture that is head, and the mean
    gray level of that, 0 to 1: `[N, 3]`."""
    found = []
    for row in rows:
        record = store.records[row]
        flair = store.planes[row, 0, ::STRIDE, ::STRIDE]
        head = flair[flair > HEAD_LEVEL]
        position = record.slice_index / max(record.slice_count - 1, 1)
        found.append((position, head.size / flair.size, head.mean() / 255 if head.size else 0.0))
    return np.array(found)
