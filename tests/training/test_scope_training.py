"""Training of the scope, which decides what may be judged at all, on small dataset folders."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from toy import write_dataset

from brainai.data.dataset import SliceRecord, read_records, write_records
from brainai.data.elsewhere import is_kept_out
from brainai.data.store import open_store
from brainai.errors import ConfigError, DataError
from brainai.model.scope import KINDS, SIZE, Scope, refusals
from brainai.training.scope import (
    ELSEWHERE,
    FLAIR,
    NO_SLICE,
    SEQUENCE,
    TURNED,
    VIEW,
    _batch,
    _loss,
    collect,
    train_scope,
)
from brainai.training.scope_limits import (
    find_limits,
    find_scan_limit,
    fit_distance,
    set_limits,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("toy"))


def test_every_kind_that_the_data_contain_is_collected(folder: Path) -> None:
    pools = collect(open_store(folder, SIZE, progress=False), 20, np.random.default_rng(0))
    assert set(pools) == {
        FLAIR,
        SEQUENCE,
        TURNED,
        NO_SLICE,
    }  # no other sequence, and 8 slices are not a stack
    assert len(pools[FLAIR][0]) == 48  # 6 patients with 8 slices, of train alone
    assert len(pools[TURNED][0]) == len(pools[SEQUENCE][0]) == 20  # these are recolored
    for planes, weights in pools.values():
        assert planes.dtype == torch.uint8
        assert planes.shape == (len(weights), 1, SIZE, SIZE)


def test_other_sequences_and_cuts_are_collected_if_the_data_have_them(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [
        replace(r, modalities=("flair", "t1c"), case_id=f"{r.split} case")
        if r.split == "train"
        else r
        for r in read_records(folder)
    ]  # 48 slices of one case: a stack
    for record in records:
        if len(record.modalities) > 1:
            flair = np.asarray(Image.open(folder / record.file_name))
            Image.fromarray(np.stack([flair, 255 - flair, flair], -1)).save(
                folder / record.file_name
            )
    write_records(folder / "metadata.csv", records)
    pools = collect(open_store(folder, SIZE, progress=False), 10, np.random.default_rng(0))
    assert set(pools) == {FLAIR, SEQUENCE, TURNED, VIEW, NO_SLICE}
    planes, weights = pools[SEQUENCE]
    assert len(planes) == 48 + 10  # T1c, and recolored ones
    assert planes[:48, 0, 0, 0].min() > 200  # its own picture: the corner is bright
    assert weights[:48].sum() == pytest.approx(1)  # one source, as much as the recolored ten
    assert weights[48:].sum() == pytest.approx(1)


def test_sources_and_the_patients_within_them_are_drawn_equally_often(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [
        replace(r, source="other") if r.patient_id == "train0" else r for r in read_records(folder)
    ][4:]  # train0 keeps 4 slices
    write_records(folder / "metadata.csv", records)
    store = open_store(folder, SIZE, progress=False)
    weights = collect(store, 5, np.random.default_rng(0))[FLAIR][1]
    # Every second slice has a tumor, and is drawn twice as often: 3/2 on average.
    assert weights[:4].sum() == pytest.approx(3 / 2)
    assert weights[4:].sum() == pytest.approx(3 / 2)
    assert weights[4:12].sum() == pytest.approx(3 / 2 / 5)


def test_slices_with_tumor_are_drawn_twice_as_often_and_large_ones_three_times(
    tmp_path: Path,
) -> None:
    folder = write_dataset(tmp_path)
    records = [
        replace(r, tumor_pixels=2000 if r.slice_index == 1 else 1999 * r.label)
        for r in read_records(folder)
    ]
    write_records(folder / "metadata.csv", records)
    store = open_store(folder, SIZE, progress=False)
    weights = collect(store, 5, np.random.default_rng(0))[FLAIR][1]
    assert weights[1] == pytest.approx(3 * weights[0])
    assert weights[3] == pytest.approx(2 * weights[0])


def test_decoy_pictures_count_equally_and_a_scan_counts_as_ten_of_them(
    folder: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 32
    head = np.where(np.hypot(y, x) < 25, 100, 0).astype(np.uint8)
    names = [f"{number}.png" for number in range(20)]
    for name in names:
        Image.fromarray(head + random.integers(0, 30, (64, 64), np.uint8)).save(tmp_path / name)
    scan = np.repeat(head[:, :, None], 5, axis=2).astype(np.int16)
    scan[30, 30] = 150
    nibabel.save(nibabel.Nifti1Image(scan, np.diag([1.0, 1, 4, 1])), tmp_path / "scan.nii.gz")
    assert not is_kept_out("scan.nii.gz")
    pictures = sum(not is_kept_out(name) for name in names)
    store = open_store(folder, SIZE, progress=False)
    planes, weights = collect(store, 5, random, [tmp_path, tmp_path])[ELSEWHERE]
    assert len(planes) == 2 * (pictures + 5)
    assert weights.sum() == pytest.approx(2)  # two folders alike
    assert sorted(weights.tolist())[-1] == pytest.approx(2 * weights.min())  # a slice of ten by 5
    assert weights.min() == pytest.approx(1 / (pictures + 10))


def test_decoys_that_are_all_kept_out_of_training_are_refused(folder: Path, tmp_path: Path) -> None:
    names = (f"{number}.png" for number in range(100))
    kept_out = tmp_path / next(name for name in names if is_kept_out(name))
    Image.fromarray(np.full((64, 64), 100, np.uint8) + np.eye(64, dtype=np.uint8)).save(kept_out)
    store = open_store(folder, SIZE, progress=False)
    with pytest.raises(DataError, match="expected decoys to train with, found none"):
        collect(store, 5, np.random.default_rng(0), [tmp_path])


def test_a_decoy_may_be_of_any_kind_but_flair() -> None:
    half = torch.tensor([[0.0, 0, -99, -99, -99]])  # FLAIR or another sequence, one as likely
    assert float(_loss(half, torch.tensor([ELSEWHERE]))) == pytest.approx(np.log(2))
    spread = torch.tensor([[-99.0, 5, 5, -99, -99]])
    assert float(_loss(spread, torch.tensor([ELSEWHERE]))) == pytest.approx(0, abs=1e-6)
    # The mean over all pictures: with one that is named and sure, half of it and its smoothing,
    # 0.004 of 99 for each of three kinds and nothing for those as likely as its own.
    both = torch.cat([half, torch.tensor([[9.0, -90, -90, -90, 9]])])
    named = np.log(2) + 0.004 * 99 * 3
    wanted = (np.log(2) + named) / 2
    assert float(_loss(both, torch.tensor([ELSEWHERE, FLAIR]))) == pytest.approx(wanted, rel=1e-4)


class TwoNumbers(Scope):
    """Features: two pixels of the picture; log-odds of FLAIR: the first."""

    def __init__(self) -> None:
        super().__init__()
        self.center, self.whitening = torch.zeros(2), torch.eye(2)

    def forward(self, flair):
        features = flair[:, 0, 0, :2]
        others = torch.zeros(len(flair), len(KINDS) - 1)
        return torch.cat([features[:, :1], others], dim=1), features


def pictures(first: list[int], second: list[int]) -> torch.Tensor:
    planes = torch.zeros(len(first), 1, 4, 4, dtype=torch.uint8)
    planes[:, 0, 0, 0], planes[:, 0, 0, 1] = torch.tensor(first), torch.tensor(second)
    return planes


def test_the_distance_of_training_slices_is_about_1_for_any_spread() -> None:
    random, scope = np.random.default_rng(0), TwoNumbers()
    planes = pictures(
        random.integers(100, 111, 500).tolist(), random.integers(0, 200, 500).tolist()
    )
    fit_distance(scope, planes)
    _, distance = scope.measure(planes.float() / 255)
    assert distance.square().mean().sqrt() == pytest.approx(1, abs=0.25)
    # 95 away is near along the second, and far along the first.
    near, far = pictures([105], [195]), pictures([200], [100])
    assert scope.measure(near.float() / 255)[1] < 2 < scope.measure(far.float() / 255)[1]


def slices(source: str, count: int, label: int = 0) -> list[SliceRecord]:
    return [SliceRecord(
        file_name="", mask_file_name="", label=label, patient_id="", case_id="", slice_index=0,
        slice_count=1, modalities=("flair",), source=source, site="", tumor_pixels=0,
        pixel_area_mm2=1.0, split="valid",
    )] * count  # fmt: skip


def test_limits_keep_199_of_200_slices_of_every_source_that_is_large_enough() -> None:
    a, b, few = torch.linspace(50, 200, 201), torch.full((201,), 10.0), torch.zeros(9)
    values = torch.cat([a, b, few]).double()
    records = slices("a", 201) + slices("b", 201) + slices("few", 9)
    margins, reach = find_limits(values[:, None].repeat(1, 4), values, records)
    # b lies lower and sets the limit, which the few do not reach; a lies farther: of its 201
    # distances, one is above the last but one, 199.25.
    assert margins.tolist() == pytest.approx([10] * 4)
    assert float(reach) == pytest.approx(199.25)


def test_all_limits_together_keep_997_of_1000_slices_with_tumor() -> None:
    """1,000 slices with tumor; each of the five measures is lowest for different slices."""
    log_odds, distance = torch.full((1000, 4), 50.0).double(), torch.ones(1000).double()
    for kind in range(4):  # 10 slices of each kind lie low, at 0, 1, … 9
        log_odds[10 * kind : 10 * kind + 10, kind] = torch.arange(10).double()
    distance[40:50] = 100 - torch.arange(10).double()  # and 10 lie far
    margins, reach = find_limits(log_odds, distance, slices("a", 1000, label=1))
    lost = (log_odds < margins).any(dim=1) | (distance > reach)
    assert int(lost.sum()) <= 3
    # Only slices without tumor: each limit gives up 5 of 1,000, together 25.
    margins, reach = find_limits(log_odds, distance, slices("a", 1000))
    lost = (log_odds < margins).any(dim=1) | (distance > reach)
    assert int(lost.sum()) == 25


def test_the_scan_limit_lies_halfway_between_scans_to_keep_and_to_refuse() -> None:
    assert find_scan_limit([3.0, 2.0], [1.0]) == pytest.approx(1.5)
    assert find_scan_limit([3.0, 2.0], [-9.0, 1.0, 1.0]) == pytest.approx(1.5)
    assert find_scan_limit([-0.5, 2.0], [-1.5]) == pytest.approx(-1.0)
    assert find_scan_limit([3.0], []) == 0
    assert find_scan_limit([-0.5], [1.0]) == -0.5
    assert find_scan_limit([], [1.0]) == 0


def test_one_scan_that_looks_like_flair_does_not_raise_the_scan_limit() -> None:
    usual = [-2.0] * 30 + [-1.0] * 10
    assert find_scan_limit([3.0, 4.0], usual) == pytest.approx(1.0)
    assert find_scan_limit([3.0, 4.0], [*usual, 2.9]) == pytest.approx(1.0)
    assert find_scan_limit([3.0, 4.0], [*usual, 3.5]) == pytest.approx(1.0)
    assert find_scan_limit([3.0, 4.0], [*usual, *[2.0] * 10]) == pytest.approx(2.5)  # a kind


def test_a_data_set_without_a_head_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    for record in read_records(folder):
        if record.split == "valid":
            dark = np.zeros((48, 48), np.uint8)
            dark[20, 20] = 255
            Image.fromarray(dark).save(folder / record.file_name)
    with pytest.raises(DataError, match="slices of a head in the split 'valid'"):
        set_limits(Scope(), folder)


def test_a_missing_device_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="a device that torch can use on this machine, found 'cuda:99'"
    ):
        train_scope(tmp_path / "none", 60, device="cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_scope_trained_on_a_gpu_matches_one_trained_on_the_cpu(folder: Path) -> None:
    one, other = (train_scope(folder, 5, device=name, progress=False) for name in ("cpu", "cuda"))
    assert other.center.device.type == "cpu"
    for name, value in one.body.state_dict().items():
        torch.testing.assert_close(other.body.state_dict()[name], value, rtol=0.05, atol=0.02)


@pytest.mark.slow
def test_a_trained_scope_keeps_slices_and_refuses_unseen_pictures(folder: Path) -> None:
    scope = train_scope(folder, 100, device="cpu", progress=False)
    store = open_store(folder, SIZE, progress=False)
    rows = [n for n, record in enumerate(store.records) if record.split == "test"]
    kept = torch.from_numpy(store.planes[rows, 0][:, None]).float() / 255
    assert sum(reason is not None for reason in refusals(kept, scope)) <= 2  # of 24
    random = torch.Generator().manual_seed(1)
    noise = torch.rand(20, 1, SIZE, SIZE, generator=random)
    stripes = (torch.arange(SIZE) // 4 % 2).float().expand(1, 1, SIZE, SIZE)
    assert all(refusals(torch.cat([noise, stripes]), scope))


def test_a_batch_contains_each_kind_by_its_share_and_draws_by_weight() -> None:
    """Without other sequences and cuts the rest shares 128: 0.44, 0.15 and 0.09 of 0.68."""
    pools = {
        kind: (torch.full((2, 1, SIZE, SIZE), 40 * (kind + 1), dtype=torch.uint8), weights)
        for kind, weights in {
            FLAIR: torch.tensor([1.0, 0.0]),
            TURNED: torch.tensor([1.0, 1.0]),
            NO_SLICE: torch.tensor([0.0, 1.0]),
        }.items()
    }
    pools[FLAIR][0][1] = pools[NO_SLICE][0][0] = 0  # never drawn
    images, kinds = _batch(pools, np.random.default_rng(0), torch.device("cpu"))
    assert images.shape == (128, 1, SIZE, SIZE)
    counts = [int((kinds == kind).sum()) for kind in (FLAIR, SEQUENCE, TURNED, VIEW, NO_SLICE)]
    # 128 * 0.44 / 0.68 = 82.8, 128 * 0.15 / 0.68 = 28.2, 128 * 0.09 / 0.68 = 16.9
    assert counts == [83, 0, 28, 0, 17]
    middle = images[:, 0, SIZE // 2, SIZE // 2]
    assert middle.min() > 0.02
    assert middle[kinds == FLAIR].std() > 0.01  # augmented, each in its own way
    again, _ = _batch(pools, np.random.default_rng(0), torch.device("cpu"))
    assert torch.equal(images, again)
    assert not torch.equal(images, _batch(pools, np.random.default_rng(1), torch.device("cpu"))[0])


def test_two_updates_of_a_scope_are_determined_by_the_seed(folder: Path) -> None:
    one, same, other = (
        train_scope(folder, 2, seed, progress=False).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())
    assert one["reach"] > 0
