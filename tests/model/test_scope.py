"""What may be judged at all, worked out by hand on two features."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from brainai.errors import WeightsError
from brainai.model.folder import ModelInfo, load_model, load_scope, write_model
from brainai.model.network import build_network
from brainai.model.scope import (
    KINDS,
    SIZE,
    TOO_LITTLE,
    WIDTHS,
    Scope,
    refusal_of_scan,
    refusals,
    scan_slices,
    shows_little,
)

WORDS = list(KINDS.values())


class TwoHalves(Scope):
    """Its features are the mean gray of the upper and of the lower half; the first speaks for
    FLAIR, the second for "turned"."""

    def forward(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        upper, lower = (half.mean(dim=(1, 2, 3)) for half in flair.chunk(2, dim=2))
        others = torch.full_like(upper, -9.0)
        return torch.stack([upper, others, lower, others, others], 1), torch.stack(
            [upper, lower], dim=1
        )


@pytest.fixture
def upright() -> Scope:
    scope = TwoHalves()
    scope.center = torch.tensor([1.0, 1.0])
    scope.whitening = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    scope.margins = torch.tensor([0.0, 0.5, 0.0, 0.0])
    scope.reach = torch.tensor(3.0)
    return scope


def picture(upper: float, lower: float) -> Tensor:
    gray = torch.full((1, 1, 64, 64), upper)
    gray[:, :, 32:] = lower
    return gray


def test_measure_gives_log_odds_and_whitened_distance(upright: Scope) -> None:
    log_odds, distance = upright.measure(picture(2.5, 5.0))
    assert log_odds.tolist() == [[11.5, -2.5, 11.5, 11.5]]
    # Whitened: (2.5 - 1) · 2 = 3 and 5 - 1 = 4; the root of (9 + 16) / 2.
    assert distance.tolist() == pytest.approx([math.sqrt(12.5)])


@pytest.mark.parametrize(
    ("upper", "lower", "reason"),
    [
        (2.0, 1.0, None),  # log-odds 1 against "turned", distance root of 2
        (1.4, 1.0, WORDS[2]),  # log-odds 0.4, where 0.5 is required
        (6.0, 1.0, WORDS[0]),  # most like FLAIR, but 7 away
        (-9.5, -20.0, WORDS[1]),  # the first of three that are likelier by 0.5
    ],
)
def test_a_slice_is_refused_with_the_kind_that_it_resembles(upright, upper, lower, reason) -> None:
    assert upright.judge(picture(upper, lower)) == [reason]


def scan(*halves: tuple[float, float]) -> Tensor:
    return torch.cat([picture(*pair) for pair in halves])


def test_the_evidence_of_a_slice_in_a_scan_is_clipped_to_4(upright: Scope) -> None:
    # Log-odds 1 against "turned", half above its margin; 9 less than 3 away: at most 4.
    whole, kinds = upright.evidence(scan((2.0, 1.0)))
    assert float(whole) == pytest.approx(0.5)
    assert kinds.tolist() == pytest.approx([4, 0.5, 4, 4])
    # -19.5 against "turned" is no more than -4, and so is 7 away; (0.5 - 4 - 4) / 3.
    whole, kinds = upright.evidence(scan((2.0, 1.0), (1.0, 20.0), (6.0, 1.0)))
    assert float(whole) == pytest.approx(-2.5)
    assert kinds.tolist() == pytest.approx([4, (0.5 - 4 + 4) / 3, 4, 4])


def test_a_scan_is_refused_by_all_its_slices_together_and_not_by_its_ends(upright: Scope) -> None:
    good, strange = (3.0, 1.0), (1.0, 20.0)  # 1.5 to spare, and 4 too few
    assert upright.judge_scan(scan(*[good] * 12, *[strange] * 4)) is None  # (18 - 16) / 16
    assert upright.judge_scan(scan(*[good] * 10, *[strange] * 6)) == WORDS[2]  # (15 - 24) / 16
    upright.scan_limit = torch.tensor(-1.0)
    assert upright.judge_scan(scan(*[good] * 10, *[strange] * 6)) is None
    # Like no other kind, but out of reach.
    assert upright.judge_scan(scan((6.0, 1.0))) == WORDS[0]


def test_near_empty_slices_of_a_scan_are_ignored_unless_they_are_the_majority(
    upright: Scope,
) -> None:
    dark, good = torch.zeros(1, 1, 64, 64), picture(3.0, 1.0)
    upright.scan_limit = torch.tensor(1.0)  # a dark slice has -0.5 to spare
    assert refusal_of_scan(torch.cat([dark, good, good]), upright) is None
    assert refusal_of_scan(torch.cat([dark, dark, good]), upright) == TOO_LITTLE
    assert refusal_of_scan(torch.cat([dark, good, good]), None) is None


def test_a_scan_is_judged_by_16_of_its_slices_that_show_a_head() -> None:
    planes = np.zeros((40, 64, 64), np.uint8)
    planes[4:35] = (255 * ring()[0, 0]).byte().numpy()  # 31 of 40
    planes[4:35, 0, 0] = np.arange(31)
    seen = scan_slices(planes)
    assert seen.shape == (16, 1, 64, 64)
    assert (255 * seen[:, 0, 0, 0]).round().tolist() == list(range(0, 31, 2))
    assert scan_slices(planes[:3]).shape == (3, 1, 64, 64)


def test_a_slice_shows_little_if_under_4_in_1000_pixels_exceed_the_background() -> None:
    flair = torch.zeros(2, 1, 50, 50)  # 2,500 pixels
    flair[0, 0, 20, :9] = 1.0
    flair[1, 0, 20, :10] = 1.0
    assert shows_little(flair).tolist() == [True, False]


def ring(inside: float = 0.4) -> Tensor:
    """A bright skull around a brain, in the dark."""
    y, x = torch.meshgrid(torch.arange(64) - 32, torch.arange(64) - 32, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    return torch.where(radius < 22, inside, torch.where(radius < 26, 1.0, 0.0))[None, None]


def test_a_picture_of_pure_noise_shows_little_but_a_brain_in_noise_does_not() -> None:
    noise = 0.5 + 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    cut = noise.clone()
    cut[:, :, :30] = 0.0  # half of it beyond the border of the scan
    assert shows_little(torch.cat([noise, cut])).tolist() == [True, True]
    assert shows_little(torch.cat([ring(), ring() + 0.2 * noise])).tolist() == [False, False]


def test_a_head_that_fills_the_picture_is_not_taken_for_an_even_field() -> None:
    assert shows_little(ring()[:, :, 8:56, 8:56]).tolist() == [False]


def test_without_a_scope_only_a_near_empty_slice_is_refused() -> None:
    assert refusals(torch.cat([torch.zeros(1, 1, 64, 64), ring()]), None) == [TOO_LITTLE, None]


def test_an_unfitted_scope_refuses_nothing() -> None:
    assert refusals(torch.cat([ring(), ring(0.9), ring(0.1)]), Scope().eval()) == [None] * 3


def test_a_scope_accepts_pictures_of_any_size_and_is_small() -> None:
    scope = Scope().eval()
    logits, features = scope(torch.rand(2, 1, 256, 256))
    assert logits.shape == (2, len(KINDS))
    assert features.shape == (2, WIDTHS[-1])
    small = torch.rand(1, 1, SIZE, SIZE)
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert scope(large)[0][0].tolist() == pytest.approx(scope(small)[0][0].tolist(), abs=0.05)
    assert sum(p.numel() for p in scope.parameters()) < 600_000


def test_a_scope_is_stored_in_the_model_folder_and_changes_the_revision(tmp_path: Path) -> None:
    network, info = build_network("test_resnet"), ModelInfo(architecture="test_resnet")
    torch.manual_seed(0)
    scope, stricter = Scope().eval(), Scope()
    scope.reach = torch.tensor(2.25)
    stricter.load_state_dict(scope.state_dict())
    stricter.reach = torch.tensor(2.0)
    # The memory format used in training, which safetensors would not accept.
    write_model(tmp_path / "with", network, info, scope.to(memory_format=torch.channels_last))
    write_model(tmp_path / "stricter", network, info, stricter)
    write_model(tmp_path / "without", network, info)
    read, flair = load_scope(tmp_path / "with"), torch.rand(4, 1, 64, 64)
    assert read.reach.item() == 2.25
    assert torch.allclose(read(flair)[0], scope(flair)[0], atol=1e-5)
    assert load_scope(tmp_path / "without") is None
    assert len({load_model(folder)[1].revision for folder in tmp_path.iterdir()}) == 3


def test_a_scope_with_a_missing_tensor_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m", build_network("test_resnet"), ModelInfo("test_resnet"), Scope())
    path = tmp_path / "m" / "scope.safetensors"
    save_file({k: v for k, v in load_file(path).items() if k != "scan_limit"}, path)
    with pytest.raises(WeightsError, match=r"scope\.safetensors does not fit"):
        load_scope(tmp_path / "m")


def test_another_threshold_changes_the_revision(tmp_path: Path) -> None:
    network = build_network("test_resnet")
    for threshold in (0.5, 0.25):
        info = ModelInfo(architecture="test_resnet", threshold=threshold)
        write_model(tmp_path / str(threshold), network, info)
    assert len({load_model(folder)[1].revision for folder in tmp_path.iterdir()}) == 2


def test_a_foreign_or_damaged_scope_is_refused(tmp_path: Path) -> None:
    network, info = build_network("test_resnet"), ModelInfo(architecture="test_resnet")
    write_model(tmp_path / "m", network, info, Scope())
    (tmp_path / "m" / "decoder.safetensors").rename(tmp_path / "m" / "scope.safetensors")
    with pytest.raises(WeightsError, match=r"scope\.safetensors does not fit"):
        load_scope(tmp_path / "m")
    (tmp_path / "m" / "scope.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"scope\.safetensors is damaged"):
        load_scope(tmp_path / "m")
