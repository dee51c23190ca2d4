"""What is fitted on the patients of `valid`, after training and before anything is published."""

from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression

from brainai.data.store import open_store
from brainai.evaluation.score import choose_device, split_rows
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet


def fit_score_weights(
    network: BrainNet, info: ModelInfo, dataset_folder: str | Path, *, batch_size: int = 16
) -> tuple[float, float, float]:
    """How class and mask count together: logistic regression on `valid`, FLAIR alone.

    Returns:
        Weights for `answer.combine`; those of the class alone without a decoder, or where `valid`
        holds one class only.
    Raises:
        DataError: no data set, or `valid` is empty.
    """
    store = open_store(dataset_folder, info.image_size)
    rows = split_rows(store, "valid", dataset_folder)
    labels = [store.records[row].label for row in rows]
    if network.decoder is None or len(set(labels)) < 2:
        return ModelInfo.score_weights
    device = choose_device(None)
    network = network.to(device, memory_format=torch.channels_last).eval()
    scores = []
    for start in range(0, len(rows), batch_size):
        planes = torch.from_numpy(store.read(rows[start : start + batch_size])).to(device)
        found = answer(network, info, planes[:, :1])
        scores.append(torch.stack([found.class_scores, found.mask_scores], dim=1).cpu())
    fitted = LogisticRegression().fit(torch.cat(scores).numpy(), labels)
    of_class, of_mask = fitted.coef_[0].tolist()
    return round(of_class, 4), round(of_mask, 4), round(float(fitted.intercept_[0]), 4)
