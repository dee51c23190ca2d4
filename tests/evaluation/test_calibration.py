"""What is fitted on `valid`."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn
from toy import write_dataset

from brainai.data.dataset import SliceRecord, read_records, write_records
from brainai.data.store import open_store
from brainai.evaluation.calibration import fit_mask_bias, fit_score_weights
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


def test_what_tells_tumour_apart_gets_the_weight(folder: Path) -> None:
    weights = fit_score_weights(BrightMask(), INFO, folder)
    assert weights[1] > 5 * abs(weights[0])
    store = open_store(folder, 32)
    images = torch.from_numpy(store.read(range(len(store.records))))[:, :1]
    found = answer(BrightMask(), replace(INFO, score_weights=weights), images)
    says = (found.probabilities > 0.5).tolist()
    assert says == [record.label == 1 for record in store.records]


def test_without_a_decoder_nothing_is_fitted(folder: Path) -> None:
    plain = build_network("test_resnet", decoder=False)
    assert fit_score_weights(plain, INFO, folder) == (1.0, 0.0, 0.0)


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
    alone = fit_score_weights(BrightMask(), INFO, folder)
    contrary = [
        replace(r, source="phantom", patient_id=f"phantom {r.patient_id}", label=1 - r.label)
        for r in real
    ]

    def fit(records: list[SliceRecord]) -> tuple[float, float, float]:
        write_records(folder / "metadata.csv", records)
        shutil.rmtree(folder / ".store")
        return fit_score_weights(BrightMask(), INFO, folder)

    assert fit([*real, *contrary]) == alone
    assert fit(contrary)[1] == pytest.approx(-alone[1], rel=0.05)
