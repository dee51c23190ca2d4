"""Training of what may be judged at all, on small dataset folders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy import write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.data.store import open_store
from brainai.errors import ConfigError, DataError
from brainai.model.scope import KINDS, SIZE, Scope, refusals
from brainai.training.scope import (
    FLAIR,
    NO_SLICE,
    SEQUENCE,
    TURNED,
    VIEW,
    _batch,
    collect,
    fit_distance,
    fit_limits,
    set_limits,
    train_scope,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("toy"))


def test_every_kind_that_the_data_gives_is_collected(folder: Path) -> None:
    pools = collect(open_store(folder, SIZE, progress=False), 20, np.random.default_rng(0))
    assert set(pools) == {FLAIR, TURNED, NO_SLICE}  # no other sequence, and 8 slices are no stack
    assert len(pools[FLAIR][0]) == 48  # 6 patients with 8 slices, of train alone
    assert len(pools[TURNED][0]) == 20
    for planes, weights in pools.values():
        assert planes.dtype == torch.uint8
        assert planes.shape == (len(weights), 1, SIZE, SIZE)


def test_other_sequences_and_cuts_are_taken_where_there_are_any(tmp_path: Path) -> None:
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
    assert len(pools[SEQUENCE][0]) == 48  # T1c alone
    assert pools[SEQUENCE][0][:, 0, 0, 0].min() > 200  # its own picture: the corner is bright


def test_patients_are_drawn_alike_within_a_source_and_sources_alike(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    records = [
        replace(r, source="other") if r.patient_id == "train0" else r for r in read_records(folder)
    ][4:]  # train0 keeps 4 slices
    write_records(folder / "metadata.csv", records)
    store = open_store(folder, SIZE, progress=False)
    weights = collect(store, 5, np.random.default_rng(0))[FLAIR][1]
    assert weights[:4].sum() == pytest.approx(1)
    assert weights[4:].sum() == pytest.approx(1)
    assert weights[4:12].sum() == pytest.approx(1 / 5)


class TwoNumbers(Scope):
    """Features: two pixels of the picture; log-odds of FLAIR: the first."""

    def __init__(self) -> None:
        super().__init__()
        self.centre, self.whitening = torch.zeros(2), torch.eye(2)

    def forward(self, flair):
        features = flair[:, 0, 0, :2]
        others = torch.zeros(len(flair), len(KINDS) - 1)
        return torch.cat([features[:, :1], others], dim=1), features


def pictures(first: list[int], second: list[int]) -> torch.Tensor:
    planes = torch.zeros(len(first), 1, 4, 4, dtype=torch.uint8)
    planes[:, 0, 0, 0], planes[:, 0, 0, 1] = torch.tensor(first), torch.tensor(second)
    return planes


def test_the_distance_of_training_slices_is_about_1_whatever_their_spread() -> None:
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


def test_limits_keep_199_of_200_of_every_source_but_of_one_too_small_to_tell() -> None:
    scope = TwoNumbers()
    levels = np.linspace(50, 200, 201).astype(int).tolist()
    few = [0] * 9
    planes = pictures(levels + [10] * 201 + few, levels + [10] * 201 + few)
    fit_limits(scope, planes, ["a"] * 201 + ["b"] * 201 + ["few"] * 9)
    log_odds, distance = scope.measure(planes.float() / 255)
    # b lies lower and sets the limit, which the few do not reach; a lies farther.
    assert scope.margins.tolist() == pytest.approx([10 / 255] * 4)
    assert int((log_odds[:402] < scope.margins - 1e-6).sum()) == 0
    assert int((log_odds[402:] < scope.margins).all(dim=1).sum()) == 9
    assert int((distance > scope.reach).sum()) == 1


def test_a_data_set_without_a_head_is_told(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    for record in read_records(folder):
        if record.split == "valid":
            dark = np.zeros((48, 48), np.uint8)
            dark[20, 20] = 255
            Image.fromarray(dark).save(folder / record.file_name)
    with pytest.raises(DataError, match="slices of a head in the split 'valid'"):
        set_limits(Scope(), folder)


def test_a_device_that_is_not_there_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a device that torch can use here, found 'cuda:99'"):
        train_scope(tmp_path / "none", 60, device="cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_a_scope_like_that_of_the_cpu(folder: Path) -> None:
    one, other = (train_scope(folder, 5, device=name, progress=False) for name in ("cpu", "cuda"))
    assert other.centre.device.type == "cpu"
    for name, value in one.body.state_dict().items():
        torch.testing.assert_close(other.body.state_dict()[name], value, rtol=0.05, atol=0.02)


@pytest.mark.slow
def test_a_trained_scope_keeps_slices_and_refuses_pictures_it_never_saw(folder: Path) -> None:
    scope = train_scope(folder, 60, device="cpu", progress=False)
    again = train_scope(folder, 60, device="cpu", progress=False)
    for name, value in scope.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    store = open_store(folder, SIZE, progress=False)
    rows = [n for n, record in enumerate(store.records) if record.split == "test"]
    kept = torch.from_numpy(store.planes[rows, 0][:, None]).float() / 255
    assert sum(reason is not None for reason in refusals(kept, scope)) <= 2  # of 24
    random = torch.Generator().manual_seed(1)
    noise = torch.rand(20, 1, SIZE, SIZE, generator=random)
    stripes = (torch.arange(SIZE) // 4 % 2).float().expand(1, 1, SIZE, SIZE)
    assert all(refusals(torch.cat([noise, stripes]), scope))


def test_a_batch_holds_each_kind_by_its_share_and_draws_by_weight() -> None:
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


def test_two_updates_change_every_layer_of_a_scope_and_follow_from_the_seed(folder: Path) -> None:
    one, same, other = (
        train_scope(folder, 2, seed, progress=False).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())
    assert one["reach"] > 0
