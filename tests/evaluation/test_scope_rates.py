"""How often the answer is "Cannot judge", with a scope whose answers are known."""

from dataclasses import replace
from itertools import islice, pairwise

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from toy import SLICES, write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.data.elsewhere import is_kept_out
from brainai.data.images import decode, prepare_slice
from brainai.evaluation.pictures import drawn, shipped
from brainai.evaluation.scope_rates import (
    TURNS,
    VARIANTS,
    WITH_HEAD,
    WITH_TUMOR,
    measure_scope,
    refusal_reason,
)
from brainai.model.scope import TOO_LITTLE, Scope


class KeepsDiscs(Scope):
    """Refuses what has no dark border, or is brighter below than above."""

    def judge(self, flair):
        border = torch.stack([flair[:, 0, 0].mean(1), flair[:, 0, :, 0].mean(1)]).amax(0)
        upper, lower = (half.mean(dim=(1, 2, 3)) for half in flair.chunk(2, dim=2))
        return ["no" if strange else None for strange in (border > 0.1) | (lower > upper + 0.1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module", autouse=True)
def few_shipped():
    """Six of a hundred pictures shipped with packages, some in color: reading all takes seconds."""
    first = list(islice(shipped(), 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brainai.evaluation.scope_rates.shipped", lambda: first)
        yield


@pytest.fixture
def few_drawn(monkeypatch):
    """Five pictures of each drawn kind, for tests of the other pictures."""
    monkeypatch.setattr("brainai.evaluation.scope_rates.drawn", lambda: drawn(count=5))


@pytest.fixture(scope="module")
def rates(folder):
    return measure_scope(KeepsDiscs(), folder, "test", image_size=64, slices=10)


def test_slices_to_keep_are_offered_in_every_variant(rates):
    kept = rates["to keep"]
    # Half of 48 pixels is too small to be read: no answer, and so not counted.
    variants = set(VARIANTS) - {"half size"}
    plain = {"FLAIR of toy", *(f"FLAIR of toy, {name}" for name in variants)}
    assert set(kept) == plain | {f"FLAIR of toy{WITH_HEAD}", f"FLAIR of toy{WITH_TUMOR}"}
    assert kept[f"FLAIR of toy{WITH_TUMOR}"]["n_slices"] == 3 * SLICES // 2
    assert kept["FLAIR of toy"]["n_slices"] == 3 * SLICES
    assert kept["FLAIR of toy"]["n_patients"] == 3
    assert kept["FLAIR of toy, double size"]["n_slices"] == 10
    for name in ("16 bit", "JPEG at quality 50", "double size"):
        assert kept[f"FLAIR of toy, {name}"]["value"] <= 0.1


def test_turned_slices_and_pictures_that_are_not_slices_are_offered(rates):
    refused = rates["to refuse"]
    assert {f"{name}, toy" for name in TURNS} < set(refused)
    assert refused["noise"]["value"] == 1
    assert refused["noise"]["n_patients"] == refused["noise"]["n_slices"] == 20
    assert refused["color pictures"]["value"] == 1  # by their color alone
    assert not any("T1" in name or "agittal" in name for name in refused)  # the data has none


def test_without_a_scope_color_is_refused_and_noise_is_not(folder, few_drawn):
    refused = measure_scope(None, folder, "test", image_size=64, slices=5)["to refuse"]
    assert refused["color pictures"]["value"] == 1
    assert refused["noise"]["value"] < 1
    assert refused["Upside down, toy"]["value"] == 0


def test_decoys_are_counted_by_folder_with_those_kept_out_of_training_apart(
    folder, tmp_path, few_drawn
):
    disc, slope = np.zeros((64, 64), np.uint8), np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    disc[16:48, 16:48] = 150
    heads = tmp_path / "heads"
    heads.mkdir()
    for number in range(20):
        Image.fromarray(disc if number < 10 else slope).save(heads / f"{number}.png")
    scan = np.zeros((64, 64, 6), np.int16)
    scan[16:48, 16:48, 1:] = 150  # of six slices one is empty
    nibabel.save(nibabel.Nifti1Image(scan, np.diag([1.0, 1, 4, 1])), heads / "scan.nii.gz")
    found = measure_scope(KeepsDiscs(), folder, "test", image_size=64, slices=1, folders=[heads])
    refused = {name: of for name, of in found["to refuse"].items() if ", heads" in name}
    apart = [n for n in range(20) if is_kept_out(f"{n}.png")]
    rest = [n for n in range(20) if n not in apart]
    assert set(refused) == {
        "Pictures, heads, kept out of training", "Pictures, heads, the rest",
        "Slices, heads, the rest", "Scans, heads, the rest",
    }  # fmt: skip
    for title, numbers in (("kept out of training", apart), ("the rest", rest)):
        figure = refused[f"Pictures, heads, {title}"]
        assert figure["n_slices"] == len(numbers)
        assert figure["value"] == pytest.approx(np.mean([number >= 10 for number in numbers]))
    assert refused["Slices, heads, the rest"]["n_slices"] == 5
    assert refused["Slices, heads, the rest"]["n_patients"] == 1
    assert refused["Scans, heads, the rest"]["value"] == 0


def test_cases_with_enough_slices_count_as_scans(tmp_path, few_drawn):
    data = write_dataset(tmp_path)
    records = [replace(r, case_id=f"{r.split} case") for r in read_records(data)]
    write_records(data / "metadata.csv", records)  # 24 slices of `test` in one case
    found = measure_scope(None, data, "test", image_size=64, slices=1)
    assert found["to keep"]["Scans, FLAIR of toy"]["n_slices"] == 1
    assert found["to refuse"]["Scans, FLAIR upside down of toy"]["value"] == 0


def test_refusal_reasons_match_the_app():
    assert refusal_reason(None, np.full((40, 40), 3), 64) == "empty picture"
    assert refusal_reason(None, b"no picture", 64) == "cannot be read"
    dot = np.zeros((99, 99))
    dot[50:53, 50:53] = 1
    assert refusal_reason(None, dot, 64) == TOO_LITTLE
    assert refusal_reason(None, np.eye(40), 64) is None


@pytest.mark.slow
def test_drawn_pictures_are_reproducible_and_never_empty():
    one, other = list(drawn(seed=3, count=5)), list(drawn(seed=3, count=5))
    assert [group for group, _ in one].count("charts") == 5
    for (_, picture), (_, same) in zip(one, other, strict=True):
        assert picture.tobytes() == same.tobytes()
    for _, picture in [*one, *shipped()]:
        assert isinstance(picture, Image.Image)
        assert np.ptp(np.asarray(picture)) > 0


def test_packages_ship_photographs_in_color_and_in_gray():
    groups = [group for group, _ in shipped()]
    assert groups.count("color pictures") >= 3  # of scikit-learn and matplotlib alone
    assert groups.count("photographs, gray") >= groups.count("color pictures") - 4


def test_a_package_without_its_pictures_is_skipped(monkeypatch):
    folders = {"matplotlib": ("mpl-data/nowhere", (".png",)), "nowhere": ("data", (".png",))}
    monkeypatch.setattr("brainai.evaluation.pictures.SHIPPED", folders)
    assert list(shipped()) == []


@pytest.fixture(scope="module")
def stacked(tmp_path_factory):
    """One source of two cases of 12 slices with T1c and T2, which are upright bars; no other
    patients of `test`."""
    folder = write_dataset(tmp_path_factory.mktemp("stacked"))
    records = []
    for place, record in enumerate(read_records(folder)):
        if record.split == "test":
            flair = np.asarray(Image.open(folder / record.file_name))
            bars = np.tile(np.arange(48) % 16 < 8, (48, 1)).astype(np.uint8) * 200
            Image.fromarray(np.stack([flair, bars, 200 - bars], -1)).save(folder / record.file_name)
            case = f"case{place % 2}"
            record = replace(
                record, modalities=("flair", "t1c", "t2"), case_id=case, patient_id=case
            )
        records.append(record)
    write_records(folder / "metadata.csv", records)
    return folder


def test_other_sequences_and_cuts_are_offered_if_the_data_have_them(stacked, monkeypatch):
    monkeypatch.setattr("brainai.evaluation.scope_rates.shipped", list)
    monkeypatch.setattr("brainai.evaluation.scope_rates.drawn", lambda: drawn(count=5))

    class RefusesAll(Scope):
        def judge(self, flair):
            return ["no"] * len(flair)

    rates = measure_scope(RefusesAll(), stacked, "test", image_size=64, slices=6)
    refused = {
        group: (of["n_slices"], of["n_patients"]) for group, of in rates["to refuse"].items()
    }
    assert refused["T1c offered as FLAIR, toy"] == refused["T2 offered as FLAIR, toy"]
    assert refused["T1c offered as FLAIR, toy"][0] == 6
    assert refused["Sagittal slices, toy"] == refused["Coronal slices, toy"] == (6, 2)
    assert refused["noise"] == (5, 5)
    assert rates["to keep"]["FLAIR of toy"]["value"] == 1
    again = measure_scope(RefusesAll(), stacked, "test", image_size=64, slices=6)
    assert again == rates


def test_variants_resemble_the_original_slice():
    pixels = np.zeros((96, 64), np.uint8)
    pixels[24:72, 16:48] = np.linspace(60, 200, 32).astype(np.uint8)
    for name, change in VARIANTS.items():
        found = decode(change(pixels))
        factor = {"half size": 0.5, "double size": 2}.get(name, 1)
        assert found.shape == (96 * factor, 64 * factor), name
        likeness = np.corrcoef(
            prepare_slice(found, 64).ravel(), prepare_slice(pixels.astype(np.float32), 64).ravel()
        )[0, 1]
        assert likeness > (0.8 if name == "scale bar burned in" else 0.97), name
    deep = decode(VARIANTS["16 bit"](pixels))
    assert deep.max() == 200 * 13 + 100
    bar = decode(VARIANTS["scale bar burned in"](pixels)).astype(int) - pixels
    assert np.flatnonzero(bar.any(axis=0)).tolist() == [59, 60]  # 64 * 15 / 16, and a tick of 1
    assert np.flatnonzero(bar[:, 60]).tolist() == list(range(24, 73))
    assert np.count_nonzero(bar[:, 59]) == 11


@pytest.mark.parametrize(
    ("name", "corner"),
    [("Upside down", (-1, -1)), ("Mirrored top to bottom", (-1, 0)), ("On its side", (-1, 0))],
)
def test_turns_move_the_upper_left_corner(name, corner):
    pixels = np.zeros((40, 40), np.uint8)
    pixels[0, 0] = 1
    pixels[0, 1] = 2
    turned = TURNS[name](pixels)
    assert turned[corner] == 1
    assert (turned[-1, 1] == 2) == (name == "Mirrored top to bottom")


def test_noise_pictures_are_of_five_kinds():
    noise = [np.asarray(picture, float) for group, picture in drawn(count=10) if group == "noise"]
    for uniform, poisson, salt, blocks, magnitude in (noise[:5], noise[5:]):
        assert uniform.mean() == pytest.approx(127.5, abs=4)
        assert uniform.max() == 255
        # The variance of a Poisson count is its mean, here 1 to 40.
        assert poisson.var() == pytest.approx(poisson.mean(), rel=0.1)
        assert 1 <= poisson.mean() <= 40
        assert set(np.unique(salt)) == {0, 255}
        assert 0.02 <= salt.mean() / 255 <= 0.5
        assert (blocks[:8, :8] == blocks[0, 0]).all()
        assert blocks.std() > 60
        assert blocks[:8, :16].std() > 0
        # The magnitude of two normals of 40: a mean of 40 * sqrt(pi / 2) = 50.1.
        assert magnitude.mean() == pytest.approx(50.1, abs=2)
    assert len({picture.shape for picture in noise}) > 5
    assert all(64 <= len(picture) < 512 for picture in noise)


def test_pages_are_white_with_dark_text_and_charts_differ():
    pages = [np.asarray(p) for group, p in drawn(count=4) if group == "pages of text"]
    charts = [np.asarray(p) for group, p in drawn(count=4) if group == "charts"]
    for page in pages:
        assert np.median(page) == 255
        assert page.min() < 80
        assert 0.01 < (page < 128).mean() < 0.3
        assert (page[:18] == 255).all()
        assert (page[:, :18] == 255).all()
    assert len({page.shape for page in pages}) == 4
    for chart in charts:
        assert chart[0, 0] == 255
        assert np.ptp(chart) > 100
    assert len({chart.shape for chart in charts}) == 4
    for one, other in pairwise(charts):
        assert one.shape != other.shape or (one != other).any()
