"""Two baselines that do not look for lesions, fitted on `train`, to compare the network with.

Tumors lie more often in the middle of a scan than at its ends, so that the position of a slice
alone is informative. A network is useful only as far as it is better.
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from brainai.data.store import Store, open_store
from brainai.evaluation.metrics import SliceScores
from brainai.evaluation.score import split_rows

BASELINES = {  # name: number of columns of `features` that it uses
    "position": 1,
    "position, head area, mean gray level": 3,
}
HEAD_LEVEL = 26  # of 255: what is brighter is head
STRIDE = 4  # every fourth pixel suffices for areas and means


def score_baselines(dataset_folder: str | Path, split: str, size: int) -> dict[str, SliceScores]:
    """Return the scores of each baseline for every slice of a split.

    Each source has its own logistic regression, because sources differ in the position of their
    scans. If `train` lacks a class of a source, a regression fitted to all sources is used.

    Args:
        size: picture size in pixels; a size whose store exists is fastest.
    Returns:
        Scores by name of the baseline; empty if `train` does not hold both classes.
    Raises:
        ConfigError: the split is unknown.
        DataError: the split has no slices.
    """
    store = open_store(dataset_folder, size, progress=False)
    rows = split_rows(store, split, dataset_folder)
    train = np.flatnonzero([record.split == "train" for record in store.records])
    labels = np.array([store.records[row].label for row in train])
    if len(set(labels)) < 2:
        return {}
    train_features, split_features = features(store, train), features(store, rows)
    train_source, split_source = (
        np.array([store.records[row].source for row in part]) for part in (train, rows)
    )
    scores = {}
    for name, columns in BASELINES.items():
        probability = np.empty(len(rows))
        for source in np.unique(split_source):
            fit_on = train_source == source
            if len(set(labels[fit_on])) < 2:
                fit_on[:] = True
            model = make_pipeline(
                StandardScaler(), PolynomialFeatures(3), LogisticRegression(max_iter=1000)
            ).fit(train_features[fit_on, :columns], labels[fit_on])
            predict_on = split_source == source
            probability[predict_on] = model.predict_proba(split_features[predict_on, :columns])[
                :, 1
            ]
        scores[name] = SliceScores.from_records([store.records[row] for row in rows], probability)
    return scores


def features(store: Store, rows: np.ndarray) -> np.ndarray:
    """Return position, head area and mean gray level of the head of each slice, `[N, 3]`.

    Positions run from 0 to 1 along the scan, areas are fractions of the picture, and gray levels
    run from 0 to 1.
    """
    values = []
    for row in rows:
        record = store.records[row]
        flair = store.planes[row, 0, ::STRIDE, ::STRIDE]
        head = flair[flair > HEAD_LEVEL]
        position = record.slice_index / max(record.slice_count - 1, 1)
        values.append((position, head.size / flair.size, head.mean() / 255 if head.size else 0.0))
    return np.array(values)
