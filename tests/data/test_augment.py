"""Augmentation: picture and mask move together, each slice in its own, repeatable way."""

import math

import pytest
import torch

from brainai.data.augment import (
    AUGMENT_COLUMNS,
    BIAS,
    GRAY,
    augment,
    carve_mix,
    drop_modalities,
    random_table,
    to_input,
)
from brainai.data.augmentation import Augmentation
from brainai.data.images import MEAN, STD

NOTHING = Augmentation(
    flip=0, rotation=0, scale=0, shift=0, warp=0, gamma=0, gain=0, bias=0, noise=0, blur=0, drop=0
)


def corner_square(channels: int = 1) -> torch.Tensor:
    """A bright square at the upper left, in the picture and in the mask: `[1, C + 1, 32, 32]`."""
    planes = torch.zeros(1, channels + 1, 32, 32, dtype=torch.uint8)
    planes[..., 4:12, 4:12] = 255
    return planes


def test_zero_strengths_change_nothing() -> None:
    planes = corner_square()
    images, masks = augment(planes, torch.rand(1, AUGMENT_COLUMNS), NOTHING)
    assert torch.allclose(images, planes[:, :1] / 255, atol=2e-4)
    assert torch.allclose(masks, planes[:, 1:] / 255, atol=1e-5)


def test_flip_swaps_left_and_right_only() -> None:
    how = Augmentation(**{**vars(NOTHING), "flip": 1.0})
    images, masks = augment(corner_square(), torch.rand(1, AUGMENT_COLUMNS), how)
    assert masks[0, 0, 8, 23] == pytest.approx(1)
    assert images[0, 0, 8, 23] == pytest.approx(1)
    assert masks[0, 0, 8, 8] == pytest.approx(0)


@pytest.mark.parametrize("change", ["rotation", "scale", "shift", "warp"])
def test_picture_and_mask_move_together(change: str) -> None:
    how = Augmentation(**{**vars(NOTHING), change: getattr(Augmentation(), change)})
    images, masks = augment(corner_square(), torch.full((1, AUGMENT_COLUMNS), 0.9), how)
    assert torch.allclose(images, masks, atol=2e-4)
    assert not torch.allclose(masks, corner_square()[:, 1:] / 255, atol=0.1)


def test_maximum_shift_along_x_moves_by_that_fraction_of_the_side() -> None:
    how = Augmentation(**{**vars(NOTHING), "shift": 0.25})
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, 3] = 0.0  # shift along x: the grid reads 8 pixels to the left
    _, masks = augment(corner_square(), random, how)
    assert masks[0, 0, 8, 16] == pytest.approx(1)
    assert masks[0, 0, 8, 8] == pytest.approx(0)


def test_intensity_changes_keep_the_mask_and_stay_in_range() -> None:
    how = Augmentation(flip=0, rotation=0, scale=0, shift=0, warp=0, blur=1)
    images, masks = augment(corner_square(), torch.full((1, AUGMENT_COLUMNS), 0.95), how)
    assert torch.allclose(masks, corner_square()[:, 1:] / 255, atol=1e-5)
    assert images.min() >= 0
    assert images.max() <= 1
    assert not torch.allclose(images, masks, atol=0.01)


def test_bias_brightens_one_side_and_darkens_the_other() -> None:
    how = Augmentation(**{**vars(NOTHING), "bias": 0.5})
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, BIAS] = torch.tensor([0.0, 0.25, 0.75, 1.0]).repeat(4)  # rising from left to right
    images, masks = augment(torch.full((1, 2, 32, 32), 100, dtype=torch.uint8), random, how)
    assert images[0, 0, 16, 0] == pytest.approx(100 / 255 * math.exp(-0.5), abs=2e-3)
    assert images[0, 0, 16, 31] == pytest.approx(100 / 255 * math.exp(0.5), abs=2e-3)
    assert torch.allclose(masks, torch.tensor(100 / 255))


def test_dropped_sequences_are_replaced_by_flair_which_is_never_dropped() -> None:
    images = torch.stack([torch.full((8, 8), value) for value in (0.1, 0.5, 0.9)])[None]
    dropped = drop_modalities(images, torch.tensor([[True, False]]))
    assert [round(float(c.mean()), 3) for c in dropped[0]] == [0.1, 0.1, 0.9]


def test_a_slice_is_augmented_the_same_way_in_any_batch() -> None:
    planes = torch.randint(0, 256, (6, 2, 32, 32), dtype=torch.uint8)
    table = random_table(6, seed=4)
    whole, _ = augment(planes, table, Augmentation())
    part, _ = augment(planes[3:5], table[3:5], Augmentation())
    assert torch.allclose(whole[3:5], part, atol=1e-6)


def test_input_is_normalized_per_channel() -> None:
    inputs = to_input(torch.full((1, 1, 4, 4), 255, dtype=torch.uint8), MEAN, STD)
    assert inputs.shape == (1, 3, 4, 4)
    # (1 - 0.485) / 0.229 = 2.249, (1 - 0.456) / 0.224 = 2.429, (1 - 0.406) / 0.225 = 2.64
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-4)


def head(level: int, spot: tuple[slice, slice] | None = None, bright: int = 250) -> torch.Tensor:
    """A head of one gray level that fills the middle, with or without a spot of tumor:
    `[1, 2, 64, 64]` uint8."""
    planes = torch.zeros(1, 2, 64, 64, dtype=torch.uint8)
    planes[0, 0, 8:56, 8:56] = level
    if spot is not None:
        planes[0, 0][spot], planes[0, 1][spot] = bright, 255
    return planes


LEFT, RIGHT = (slice(20, 30), slice(14, 24)), (slice(20, 30), slice(40, 50))


def test_pasting_a_tumor_copies_its_mask_and_sets_the_label() -> None:
    planes, labels = carve_mix(head(100), torch.tensor([0]), head(100, LEFT))
    assert labels.tolist() == [1]
    assert (planes[0, 1][LEFT] == 255).all()
    assert (planes[0, 0][LEFT] > 220).all()
    assert planes[0, 1].count_nonzero() < 1.5 * 100  # nothing but the spot and a soft seam
    assert (planes[0, 0, 40:56, 8:56] == 100).all()


def test_a_slice_keeps_its_own_tumor_beside_the_pasted_one() -> None:
    planes, labels = carve_mix(head(100, RIGHT), torch.tensor([1]), head(100, LEFT))
    assert labels.tolist() == [1]
    assert (planes[0, 1][LEFT] == 255).all()
    assert (planes[0, 1][RIGHT] == 255).all()


def test_pasting_healthy_tissue_over_a_tumor_clears_the_label() -> None:
    planes, labels = carve_mix(head(100, LEFT), torch.tensor([1]), head(100))
    assert labels.tolist() == [0]
    assert not planes[0, 1].any()
    assert planes[0, 0].max() < 110


def test_pasted_tissue_takes_the_brightness_of_the_recipient() -> None:
    planes, _ = carve_mix(head(50, LEFT), torch.tensor([1]), head(200))
    assert planes[0, 0][LEFT].float().mean() == pytest.approx(50, rel=0.2)


def test_nothing_is_pasted_outside_the_head() -> None:
    donor = head(100)
    donor[0, :, 0:4, 0:4] = 255  # tumor where the recipient is dark
    planes, labels = carve_mix(head(100), torch.tensor([0]), donor)
    assert labels.tolist() == [0]
    assert not planes[0, :, 0:4, 0:4].any()


def test_a_positive_label_without_tumor_in_its_mask_is_kept() -> None:
    donor = head(100)
    donor[0, :, 0:4, 0:4] = 255  # tumor that cannot be pasted anywhere
    _, labels = carve_mix(head(100), torch.tensor([1]), donor)
    assert labels.tolist() == [1]


def test_carve_mix_does_not_change_the_tensors_it_is_given() -> None:
    given = head(50).float(), torch.tensor([0]), head(200, LEFT).float()
    before = [tensor.clone() for tensor in given]
    carve_mix(*given)
    assert all(torch.equal(*pair) for pair in zip(given, before, strict=True))


def test_two_slices_with_empty_masks_are_not_mixed() -> None:
    planes, labels = carve_mix(head(100), torch.tensor([1]), head(200))
    assert torch.equal(planes, head(100).float())
    assert labels.tolist() == [1]  # tumor too small for its mask to show: the label stays


def gray(level: int = 100, channels: int = 1) -> torch.Tensor:
    """Even slices and empty masks: `[2, C + 1, 64, 64]`."""
    planes = torch.zeros(2, channels + 1, 64, 64, dtype=torch.uint8)
    planes[:, :-1] = level
    return planes


def changed_by(name: str, most: float, column: int, planes: torch.Tensor) -> torch.Tensor:
    """Two slices after a single change, one at its minimum and one at its maximum."""
    random = torch.full((len(planes), AUGMENT_COLUMNS), 0.5)
    random[:, GRAY][:, column] = torch.tensor([0.0, 1.0])
    images, _ = augment(planes, random, Augmentation(**{**vars(NOTHING), name: most}))
    return images


def test_gain_darkens_and_brightens_by_its_fraction() -> None:
    images = changed_by("gain", 0.2, 1, gray())
    assert images[:, 0, 5, 5].tolist() == pytest.approx([100 / 255 * 0.8, 100 / 255 * 1.2])


def test_gamma_strength_is_the_logarithm_of_the_exponent() -> None:
    images = changed_by("gamma", math.log(2), 0, gray())
    # The logarithm of gamma is -ln 2 and ln 2: a root, and a square.
    assert images[:, 0, 5, 5].tolist() == pytest.approx([(100 / 255) ** 0.5, (100 / 255) ** 2])


def test_noise_has_the_given_standard_deviation_and_differs_between_sequences() -> None:
    images = changed_by("noise", 0.05, 5, gray(128, channels=3))
    assert torch.allclose(images[0], torch.tensor(128 / 255))
    assert images[1].std().item() == pytest.approx(0.05, rel=0.05)
    assert images[1].mean().item() == pytest.approx(128 / 255, abs=0.005)
    flair, t1c, t2 = images[1].flatten(1)
    for one, other in ((flair, t1c), (flair, t2), (t1c, t2)):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.1


def test_noise_differs_between_slices() -> None:
    random = torch.full((2, AUGMENT_COLUMNS), 1.0)
    random[:, GRAY][:, 3:5] = torch.tensor([[0.1, 0.1], [0.6, 0.3]])  # where the noise is cut out
    images, _ = augment(gray(128), random, Augmentation(**{**vars(NOTHING), "noise": 0.05}))
    both = torch.corrcoef((images - 128 / 255).flatten(1))
    assert abs(both[0, 1]) < 0.1


def test_blur_averages_nine_pixels_in_the_given_fraction_of_slices() -> None:
    planes = gray(0)
    planes[:, 0, 10, 10] = planes[:, 0, 0, 0] = 90
    random = torch.full((2, AUGMENT_COLUMNS), 0.5)
    random[:, GRAY][:, 2] = torch.tensor([0.19, 0.21])
    images, _ = augment(planes, random, Augmentation(**{**vars(NOTHING), "blur": 0.2}))
    assert images[0, 0, 9:12, 9:12].flatten().tolist() == pytest.approx([10 / 255] * 9, abs=2e-4)
    assert images[0, 0, 0, 0] == pytest.approx(90 / 4 / 255, abs=2e-4)  # four pixels at a corner
    assert images[1, 0, 10, 10] == pytest.approx(90 / 255, abs=2e-4)
    assert images[1, 0, 10, 11] < 1e-3


def test_maximum_rotation_turns_about_the_center() -> None:
    how = Augmentation(**{**vars(NOTHING), "rotation": 90.0})
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, 1] = 1.0  # a quarter turn: the grid reads the upper left where the upper right was
    images, masks = augment(corner_square(), random, how)
    found = masks[0, 0] > 0.5
    assert found[4:12, 20:28].all() != found[20:28, 4:12].all()
    assert found.sum() == 64
    assert torch.allclose(images, masks, atol=2e-4)


def test_maximum_scale_enlarges_by_that_fraction() -> None:
    how = Augmentation(**{**vars(NOTHING), "scale": 0.5})
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, 2] = 1.0
    _, masks = augment(corner_square(), random, how)
    # 8 pixels become 12; the square from 4 to 12 lies from 16 - 1.5 * 12 = -2 to 16 - 1.5 * 4 = 10.
    assert (masks[0, 0] > 0.5).sum() == 10 * 10
    assert (masks[0, 0, :10, :10] > 0.5).all()


def test_maximum_shift_along_y_moves_by_that_fraction_of_the_side() -> None:
    how = Augmentation(**{**vars(NOTHING), "shift": 0.25})
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, 4] = 0.0
    _, masks = augment(corner_square(), random, how)
    assert (masks[0, 0, 12:20, 4:12] > 0.5).all()
    assert (masks[0, 0] > 0.5).sum() == 64


def test_sequences_are_dropped_with_the_given_probability() -> None:
    planes = torch.zeros(1, 4, 32, 32, dtype=torch.uint8)
    for channel, level in enumerate((50, 100, 150)):
        planes[0, channel] = level
    random = torch.full((1, AUGMENT_COLUMNS), 0.5)
    random[0, 5:7] = torch.tensor([0.29, 0.31])
    images, _ = augment(planes, random, Augmentation(**{**vars(NOTHING), "drop": 0.3}))
    assert (images[0, :, 3, 3] * 255).tolist() == pytest.approx([50, 50, 150], abs=0.1)


def test_the_random_table_depends_on_the_seed_and_has_one_row_per_slice() -> None:
    assert random_table(3, seed=1).shape == (3, AUGMENT_COLUMNS)
    assert torch.equal(random_table(3, seed=1), random_table(3, seed=1))
    assert not torch.equal(random_table(3, seed=1), random_table(3, seed=2))


def test_mask_values_from_128_up_count_as_tumor() -> None:
    """Two slices whose masks show no tumor exchange nothing."""
    for level, pastes in ((127, False), (128, True)):
        donor = head(200)
        donor[0, 1][LEFT] = level
        planes, _ = carve_mix(head(100), torch.tensor([0]), donor)
        assert bool(planes[0, 1].any()) == pastes


def test_every_slice_of_a_batch_is_mixed_with_its_own_donor() -> None:
    pairs = [(head(100), head(200, LEFT)), (head(50, RIGHT), head(150)), (head(80), head(90))]
    labels = torch.tensor([0, 1, 0])
    recipients, donors = (torch.cat(planes) for planes in zip(*pairs, strict=True))
    together, mixed_labels = carve_mix(recipients, labels, donors)
    for row, (recipient, donor) in enumerate(pairs):
        alone, label = carve_mix(recipient, labels[row : row + 1], donor)
        assert torch.allclose(together[row : row + 1], alone)
        assert mixed_labels[row] == label


def test_a_donor_is_scaled_to_the_mean_brightness_of_the_recipient() -> None:
    """A donor twice as bright is halved: its tumor of 240 becomes one of 120."""
    planes, _ = carve_mix(head(60), torch.tensor([0]), head(120, LEFT, bright=240))
    assert planes[0, 0][LEFT].mean() == pytest.approx(120 * 48**2 / (48**2 + 100), rel=0.03)
