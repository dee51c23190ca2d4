"""The cohort scorer, with a network that can be computed by hand."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from brainai.errors import ConfigError, DataError
from brainai.evaluation.score import pointing_hits, score_batch, score_split, slice_loader
from brainai.model.folder import ModelInfo
from brainai.model.network import Output

INFO = ModelInfo(image_size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class BrightNet(nn.Module):
    """Tumor logit: brightest FLAIR + 2 × brightest T1c. Mask: where FLAIR is above one half."""

    def __init__(self, decoder: bool = True):
        super().__init__()
        self.decoder = decoder

    def forward(self, images: torch.Tensor) -> Output:
        tumor = images[:, 0].amax((1, 2)) + 2 * images[:, 1].amax((1, 2))
        logits = torch.stack([torch.zeros_like(tumor), tumor], dim=1)
        return Output(logits, images[:, :1] - 0.5 if self.decoder else None)

    def explain(self, images: torch.Tensor) -> tuple[Output, torch.Tensor]:
        """Evidence where FLAIR is darkest."""
        return self(images), -images[:, 0]


def sigmoid(value: float) -> float:
    return 1 / (1 + np.exp(-value))


def score(dataset, **options):
    return score_split(BrightNet(), INFO, dataset, "test", device="cpu", progress=False, **options)


@pytest.fixture
def distinct(dataset):
    """The data set with three different scores in `test`: T1c is as bright as FLAIR in a and black
    in b, and c is black."""
    picture = np.zeros((32, 32, 3), np.uint8)
    Image.fromarray(picture).save(dataset / "images" / "c.png")
    picture[8:16, 8:16, :2] = 200
    Image.fromarray(picture).save(dataset / "images" / "a.png")
    return dataset


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_only_the_slices_of_the_split_are_scored_in_order(distinct, batch_size):
    scores = score(distinct, modalities=("flair", "t1c", "t2"), batch_size=batch_size)
    assert scores.probability == pytest.approx([sigmoid(3), sigmoid(1), 0.5])
    assert scores.file_name.tolist() == ["images/a.png", "images/b.png", "images/c.png"]
    assert scores.patient_id.tolist() == ["A", "B", "C"]
    assert scores.site.tolist() == ["CS", "DU", "-"]
    assert scores.label.tolist() == [1, 0, 1]


def test_flair_alone_fills_all_channels(dataset):
    assert score(dataset).probability == pytest.approx([sigmoid(3)] * 3)


def test_other_sequences_are_used_on_request(dataset):
    """T1c is black in the pictures, so that only FLAIR adds to the logit."""
    scores = score(dataset, modalities=("flair", "t1c", "t2"))
    assert scores.probability == pytest.approx([sigmoid(1)] * 3)


def test_masks_are_counted_if_an_outline_is_known(dataset):
    scores = score(dataset)
    # a: 8 × 8 square, mask moved by 4; b: no tumor, all 64 claimed; c: no outline.
    assert scores.mask_tp.tolist() == [32, 0, -1]
    assert scores.mask_fp.tolist() == [32, 64, -1]
    assert scores.mask_fn.tolist() == [32, 0, -1]


def test_the_uncalibrated_probability_is_kept_beside_the_calibrated_one(dataset):
    info = ModelInfo(image_size=32, mean=INFO.mean, std=INFO.std, score_weights=(0.5, 0.0, 1.0))
    scores = score_split(BrightNet(), info, dataset, "test", device="cpu", progress=False)
    assert scores.probability == pytest.approx([sigmoid(0.5 * 3 + 1)] * 3)
    assert scores.uncalibrated == pytest.approx([sigmoid(3)] * 3)


def test_a_network_without_a_decoder_has_no_mask_counts():
    planes = torch.zeros(2, 2, 32, 32, dtype=torch.uint8)
    found = score_batch(BrightNet(decoder=False), INFO, planes, channels=[0, 0, 0])
    assert found.mask_counts.tolist() == [[-1, -1, -1]] * 2
    assert found.hits[:, 0].tolist() == [-1, -1]


def test_mask_values_from_128_up_count_as_tumor():
    planes = torch.zeros(1, 2, 32, 32, dtype=torch.uint8)
    planes[0, 0, :2] = 255  # claimed: 64 pixels
    planes[0, 1, 0], planes[0, 1, 1] = 127, 128
    found = score_batch(BrightNet(), INFO, planes, channels=[0, 0, 0])
    assert found.mask_counts.tolist() == [[32, 32, 0]]


def test_a_map_hits_if_its_maximum_lies_in_the_tumor():
    truth = torch.zeros(3, 4, 4, dtype=torch.bool)
    truth[0, 1, 2] = truth[1, 3, 3] = True  # nothing on the third
    maps = torch.zeros(3, 4, 4)
    maps[:, 1, 2] = 5.0
    assert pointing_hits(maps, truth).tolist() == [1, 0, -1]
    assert pointing_hits(None, truth).tolist() == [-1, -1, -1]


def test_the_slice_loader_finds_a_slice_by_name(dataset):
    planes = slice_loader(dataset, 32)("images/a.png")
    assert planes.shape == (4, 32, 32)
    assert planes[0, 10, 10] == 255
    assert planes[-1, 10, 14] == 255


@pytest.mark.parametrize("modalities", [("t1c",), ("flair", "dwi"), ("",)])
def test_sequences_that_lack_flair_or_are_unknown_are_refused(dataset, modalities):
    with pytest.raises(ConfigError, match=r"flair\+t1c\+t2"):
        score(dataset, modalities=modalities)


def test_an_unknown_or_empty_split_is_refused(dataset):
    with pytest.raises(ConfigError, match="train, valid, test"):
        score_split(BrightNet(), INFO, dataset, "tset", progress=False)
    with pytest.raises(DataError, match="no slice in the split 'valid'"):
        score_split(BrightNet(), INFO, dataset, "valid", progress=False)


def test_an_unknown_device_is_refused(dataset):
    with pytest.raises(ConfigError, match="try cpu"):
        score_split(BrightNet(), INFO, dataset, "test", device="abacus", progress=False)
