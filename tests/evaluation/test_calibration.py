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
from brainai.evaluation.calibration import OPERATING_POINT, calibrate, score_valid
from brainai.evaluation.score import score_split
from brainai.evaluation.valid import best_shift, fit, fit_score_weights
from brainai.evaluation.whole_scans import measure_scans
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import Output, build_network

INFO = ModelInfo(image_size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Decoder(nn.Module):
    """The part of a decoder that is fitted: the bias of its last layer."""

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

    def explain(self, images: torch.Tensor) -> tuple[Output, torch.Tensor]:
        return self(images), images[:, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("toy"))


def test_the_discriminating_score_gets_the_weight(folder: Path) -> None:
    weights = fit_score_weights(score_valid(BrightMask(), INFO, folder))
    assert weights[1] > 5 * abs(weights[0])
    store = open_store(folder, 32)
    images = torch.from_numpy(store.read(range(len(store.records))))[:, :1]
    found = answer(BrightMask(), replace(INFO, score_weights=weights), images)
    says = (found.probabilities > 0.5).tolist()
    assert says == [record.label == 1 for record in store.records]


def test_without_a_decoder_only_the_class_score_is_calibrated(folder: Path) -> None:
    plain = build_network("test_resnet", decoder=False)
    valid = score_valid(plain, INFO, folder)
    assert (valid.mask_score, valid.mask_counts) == (None, None)
    assert fit(valid).mask_shift == 0
    assert fit_score_weights(valid)[1] == 0.0


@pytest.mark.parametrize(("bias", "sign"), [(-9.0, 1), (9.0, -1)], ids=["timid", "bold"])
def test_masks_that_are_too_small_are_widened_and_too_large_ones_narrowed(
    folder: Path, bias: float, sign: int
) -> None:
    network = BrightMask(bias)
    shift, _ = best_shift(score_valid(network, INFO, folder))
    assert np.sign(shift) == sign
    calibrate(network, INFO, folder)
    assert network.decoder.mask.bias.item() == pytest.approx(bias + shift)


def test_every_source_counts_equally_however_many_patients_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two patients with exact outlines and one, of another source, with far too wide ones: it has
    half the weight, and masks are widened further than for patients of one source."""
    monkeypatch.setattr("brainai.evaluation.valid.ENOUGH", 1)
    folder = write_dataset(tmp_path)
    records = read_records(folder)
    wide = []
    for record in records:
        if record.case_id == "valid0" and record.label:
            mask = Image.open(folder / record.mask_file_name)
            mask.filter(ImageFilter.MaxFilter(9)).save(folder / record.mask_file_name)
        wide.append(replace(record, source="wide") if record.case_id == "valid0" else record)
    of_one, _ = best_shift(score_valid(BrightMask(bias=-4.0), INFO, folder))
    write_records(folder / "metadata.csv", wide)
    assert best_shift(score_valid(BrightMask(bias=-4.0), INFO, folder))[0] > of_one


def test_phantoms_count_only_if_there_are_no_real_patients(tmp_path: Path) -> None:
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


def test_values_are_fitted_to_the_weights_as_they_are_stored(folder: Path) -> None:
    network = BrightMask(bias=-8.997)  # half precision has steps of 0.008 there
    info = calibrate(network, INFO, folder)
    assert network.decoder.mask.bias.item() == network.decoder.mask.bias.half().item()
    again = fit(score_valid(network, INFO, folder), shift=0.0)
    assert again.score_weights == info.score_weights
    assert again.thresholds.operating == info.threshold


def test_calibration_makes_every_label_correct(folder: Path) -> None:
    network = BrightMask(bias=-3.0)
    info = calibrate(network, INFO, folder)
    assert info.operating_point == OPERATING_POINT
    assert info.calibration_hash == "0" * 64
    assert 0 < info.sensitive_threshold <= info.threshold < 1
    assert 0 < info.youden_threshold < 1
    store = open_store(folder, 32)
    images = torch.from_numpy(store.read(range(len(store.records))))[:, :1]
    says = (answer(network, info, images).probabilities >= info.threshold).tolist()
    assert says == [record.label == 1 for record in store.records]


def test_nothing_changes_if_valid_has_only_one_class(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [replace(r, label=1) for r in read_records(folder)]
    write_records(folder / "metadata.csv", records)
    network, info = BrightMask(bias=-9.0), replace(INFO, threshold=0.2, calibration_hash="other")
    assert calibrate(network, info, folder) == info
    assert network.decoder.mask.bias.item() == -9.0


def test_people_without_a_tumor_in_valid_are_named_in_the_operating_point(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [
        replace(r, label=0, tumor_pixels=0, mask_file_name="") if r.case_id == "valid0" else r
        for r in read_records(folder)
    ]
    write_records(folder / "metadata.csv", records)
    assert calibrate(BrightMask(), INFO, folder).operating_point == (
        "best Dice (F1) on validation patients, specificity of at least 97 % in those without a "
        "tumor"
    )


def test_scan_weights_are_fitted_only_to_scans_with_and_without_a_tumor(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    assert calibrate(BrightMask(), INFO, folder).scan_weights is None  # all scans have a tumor
    records = read_records(folder)  # slices with an even index show no tumor
    free = [r for r in records if r.case_id != "valid0" or r.slice_index % 2 == 0]
    write_records(folder / "metadata.csv", free)
    shutil.rmtree(folder / ".store")
    network = BrightMask(bias=-3.0)
    info = calibrate(network, INFO, folder)
    assert info.scan_weights[1] > 0
    measured = measure_scans(score_split(network, info, folder, "valid"), info, folder)["groups"]
    assert (measured["all"]["found"], measured["all"]["wrongly_called"]) == (2, 0)
    assert (measured["all"]["n_tumor"], measured["all"]["n_tumor_free"]) == (2, 1)


def test_patients_without_known_masks_do_not_shift_the_mask(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    unknown = [
        replace(r, mask_file_name="", tumor_pixels=-1) if r.label else r
        for r in read_records(folder)
    ]
    write_records(folder / "metadata.csv", unknown)
    network = BrightMask(bias=-9.0)
    calibrate(network, INFO, folder)
    assert network.decoder.mask.bias.item() == -9
