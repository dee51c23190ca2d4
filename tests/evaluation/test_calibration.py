"""What is fitted on `valid`."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn
from toy import write_dataset

from brainai.data.dataset import SliceRecord, read_records, write_records
from brainai.data.store import open_store
from brainai.evaluation.calibration import (
    OPERATING_POINT,
    ValidScores,
    calibrate,
    find_thresholds,
    fit_mask_bias,
    fit_score_weights,
    fit_temperature,
    score_valid,
)
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import Output, build_network

INFO = ModelInfo(image_size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Decoder(nn.Module):
    """As much of a decoder as is fitted: the bias of its last layer."""

    def __init__(self, bias: float):
        super().__init__()
        self.mask = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.mask.bias, bias)


class BrightMask(nn.Module):
    """Outlines what stands out, as the discs of the toy data set do; its class score is noise."""

    def __init__(self, bias: float = 0.0):
        super().__init__()
        self.decoder = Decoder(bias)

    def forward(self, images: torch.Tensor) -> Output:
        torch.manual_seed(0)
        stands_out = images[:, :1] - 2 * images.mean((1, 2, 3), keepdim=True)
        return Output(torch.randn(len(images), 2), 20 * stands_out + self.decoder.mask.bias)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("toy"))


def of_slices(label: list[int], weight: list[float] | None = None) -> ValidScores:
    """Slices of which only label and weight matter."""
    none = np.zeros(len(label))
    return ValidScores(np.array(label), np.array(weight or [1.0] * len(label)), none, none)


def test_what_tells_tumour_apart_gets_the_weight(folder: Path) -> None:
    weights = fit_score_weights(score_valid(BrightMask(), INFO, folder))
    assert weights[1] > 5 * abs(weights[0])
    store = open_store(folder, 32)
    images = torch.from_numpy(store.read(range(len(store.records))))[:, :1]
    found = answer(BrightMask(), replace(INFO, score_weights=weights), images)
    says = (found.probabilities > 0.5).tolist()
    assert says == [record.label == 1 for record in store.records]


def test_without_a_decoder_nothing_is_fitted(folder: Path) -> None:
    plain = build_network("test_resnet", decoder=False)
    assert fit_score_weights(score_valid(plain, INFO, folder)) == (1.0, 0.0, 0.0)


def test_masks_that_come_out_too_small_are_widened(folder: Path) -> None:
    timid = BrightMask(bias=-9.0)
    shift = fit_mask_bias(timid, INFO, folder)
    assert shift > 0
    assert timid.decoder.mask.bias.item() == pytest.approx(-9 + shift)


def test_masks_that_come_out_too_large_are_narrowed(folder: Path) -> None:
    bold = BrightMask(bias=9.0)
    assert fit_mask_bias(bold, INFO, folder) < 0


def test_every_source_counts_alike_however_many_patients_it_has(tmp_path: Path) -> None:
    """Two patients outlined as they look, one outlined far too wide: the wide one has half the say,
    and masks are widened further than the two would have it."""
    folder = write_dataset(tmp_path)
    records = read_records(folder)
    wide = []
    for record in records:
        if record.case_id == "valid0" and record.label:
            mask = Image.open(folder / record.mask_file_name)
            mask.filter(ImageFilter.MaxFilter(9)).save(folder / record.mask_file_name)
        wide.append(replace(record, source="wide") if record.case_id == "valid0" else record)
    of_one = fit_mask_bias(BrightMask(bias=-4.0), INFO, folder)
    write_records(folder / "metadata.csv", wide)
    assert fit_mask_bias(BrightMask(bias=-4.0), INFO, folder) > of_one


def test_without_a_decoder_no_mask_is_moved(folder: Path) -> None:
    assert fit_mask_bias(build_network("test_resnet", decoder=False), INFO, folder) == 0


def test_phantoms_count_only_where_there_is_no_real_patient(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    real = read_records(folder)
    alone = fit_score_weights(score_valid(BrightMask(), INFO, folder))
    contrary = [
        replace(r, source="phantom", patient_id=f"phantom {r.patient_id}", label=1 - r.label)
        for r in real
    ]

    def fit(records: list[SliceRecord]) -> tuple[float, float, float]:
        write_records(folder / "metadata.csv", records)
        shutil.rmtree(folder / ".store")
        return fit_score_weights(score_valid(BrightMask(), INFO, folder))

    assert fit([*real, *contrary]) == alone
    assert fit(contrary)[1] == pytest.approx(-alone[1], rel=0.05)


def test_scores_of_twice_the_certainty_that_is_right_are_halved() -> None:
    # Log-odds of ±2 ln 3 where three of four are right: ±ln 3 would be true, so T = 2.
    score = np.array([2 * np.log(3)] * 4 + [-2 * np.log(3)] * 4)
    assert fit_temperature(score, of_slices([1, 1, 1, 0, 0, 0, 0, 1])) == pytest.approx(2, rel=1e-3)


def test_scores_that_say_the_contrary_keep_their_temperature() -> None:
    assert fit_temperature(np.array([2.0, -2.0, 1.0, -1.0]), of_slices([0, 1, 0, 1])) == 1.0


def test_the_operating_point_finds_95_of_100_and_no_more_than_it_must() -> None:
    # Tumours at 0.99, 0.98, … 0.00; between 0.055 and 0.045 the 95th is found, at 0.05.
    probability = np.append(np.arange(99, -1, -1) / 100, 0.045)
    sensitive, _ = find_thresholds(probability, of_slices([1] * 100 + [0]))
    assert sensitive == pytest.approx(0.0475)  # half-way from 0.05 to the next lower, 0.045


def test_the_youden_point_lies_where_both_together_are_best() -> None:
    # From 0.7 on two of three tumours and none of three others: 2/3. From 0.2 on 1 − 2/3.
    probability = np.array([0.9, 0.7, 0.5, 0.3, 0.2, 0.1])
    _, youden = find_thresholds(probability, of_slices([1, 1, 0, 0, 1, 0]))
    assert youden == pytest.approx(0.6)


def test_equal_probabilities_are_never_parted() -> None:
    probability = np.array([0.8, 0.8, 0.8, 0.1])
    sensitive, youden = find_thresholds(probability, of_slices([0, 1, 1, 0]))
    assert sensitive == youden == pytest.approx(0.45)


def test_a_small_source_has_the_say_of_a_large_one(folder: Path, tmp_path: Path) -> None:
    own = write_dataset(tmp_path)
    records = [
        replace(r, source="other") if r.case_id == "valid0" else r for r in read_records(own)
    ]
    write_records(own / "metadata.csv", records)
    valid = score_valid(BrightMask(), INFO, own)
    assert valid.weight.sum() == pytest.approx(24)
    assert sorted(set(valid.weight.tolist())) == pytest.approx([0.75, 1.5])  # of 16 slices, of 8


def test_all_of_it_together_makes_the_label_right(folder: Path) -> None:
    network = BrightMask(bias=-3.0)
    info = calibrate(network, INFO, folder)
    assert info.operating_point == OPERATING_POINT
    assert info.calibration_hash == "0" * 64
    assert 0 < info.threshold <= info.youden_threshold < 1
    store = open_store(folder, 32)
    images = torch.from_numpy(store.read(range(len(store.records))))[:, :1]
    says = (answer(network, info, images).probabilities >= info.threshold).tolist()
    assert says == [record.label == 1 for record in store.records]


def test_one_class_alone_leaves_everything_as_it_was(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [replace(r, label=1) for r in read_records(folder)]
    write_records(folder / "metadata.csv", records)
    network, info = BrightMask(bias=-9.0), replace(INFO, threshold=0.2, calibration_hash="other")
    assert calibrate(network, info, folder) == info
    assert network.decoder.mask.bias.item() == -9.0


def test_certain_scores_leave_a_threshold_that_finds_them() -> None:
    """All tumours are certain, at log-odds of 25 to 40: their probabilities are 1 but for 1e-11."""
    score = np.concatenate([np.linspace(25, 40, 40), np.linspace(-40, -25, 40)])
    probability = 1 / (1 + np.exp(-score))
    valid = of_slices([1] * 40 + [0] * 40)
    sensitive, youden = find_thresholds(probability, valid)
    assert (probability[:40] >= sensitive).mean() >= 0.95
    assert (probability[40:] < sensitive).all()
    assert 0 < youden < 1
    assert 0 < fit_temperature(score, valid) <= 1


def test_slices_and_sources_both_reach_the_sensitivity() -> None:
    # Of 100 tumours of a large source 6 lie at 0.1 (94 % above), the 4 of a small one at 0.9.
    probability = np.array([0.8] * 94 + [0.1] * 6 + [0.9] * 4 + [0.05])
    weight = [0.5] * 100 + [12.5] * 4 + [1.0]
    sensitive, _ = find_thresholds(probability, of_slices([1] * 104 + [0], weight))
    assert sensitive == pytest.approx(0.075)  # by sources alone 97 % would do, at 0.8


def test_thresholds_keep_what_lies_at_them() -> None:
    probability = np.array([2 / 3, 1 / 3])
    sensitive, youden = find_thresholds(probability, of_slices([1, 0]))
    assert sensitive == youden == 0.5
    sensitive, _ = find_thresholds(np.array([1 / 3, 1 / 3, 1 / 3]), of_slices([1, 1, 0]))
    assert sensitive == 0.166666  # half of a third, cut to six decimals and not rounded up


def test_two_classes_and_mask_scores_are_weighed_as_logistic_regression_does() -> None:
    class_score, mask_score = np.array([2.0, 1.0, -1.0, -2.0]), np.array([1.0, -1.0, 1.0, -1.0])
    valid = ValidScores(np.array([1, 1, 0, 0]), np.ones(4), class_score, mask_score)
    of_class, of_mask, constant = fit_score_weights(valid)
    assert of_class > 0.5  # tells the classes apart
    assert abs(of_mask) < of_class  # and the mask does not
    assert constant == pytest.approx(0, abs=1e-3)
    of_class_alone = replace(INFO, score_weights=(2.0, 0.5, 1.0))
    assert valid.log_odds(of_class_alone).tolist() == [5.5, 2.5, -0.5, -3.5]


def test_a_patient_without_a_known_mask_moves_no_mask(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    unknown = [
        replace(r, mask_file_name="", tumor_pixels=-1) if r.label else r
        for r in read_records(folder)
    ]
    write_records(folder / "metadata.csv", unknown)
    network = BrightMask(bias=-9.0)
    assert fit_mask_bias(network, INFO, folder) == 0
    assert network.decoder.mask.bias.item() == -9
