"""The classifier's answer: probability, label, mask, order, and what it refuses."""

import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import brainai
from brainai import Classifier
from brainai.data.seals import sealed
from brainai.errors import DataError, WeightsError
from brainai.model.answer import has_fast_bfloat16
from brainai.model.folder import ModelInfo, load_model, read_model_info, write_model
from brainai.model.network import build_network
from brainai.model.scope import Scope


def half_bright(height: int = 64, width: int = 64, level: int = 200) -> np.ndarray:
    """Black, with one bright band of a quarter of the height at the bottom: uint8."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[height * 3 // 4 :] = level
    return pixels


def test_probability_is_the_softmax_of_the_weighted_logits(plain):
    # The windowed slice has mean 1/4, so the tumor logit is 4 ln 81 / 4 = ln 81;
    # with a weight of 0.5 it is ln 9, and softmax(0, ln 9) = 9/10.
    classifier, _ = plain(gain=4 * math.log(81), score_weights=(0.5, 0.0, 0.0))
    assert classifier.predict(half_bright()).probability == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize(
    ("threshold", "label"), [(0.5, "Tumor"), (0.25, "Tumor"), (0.51, "No Tumor")]
)
def test_label_is_tumor_at_or_above_the_threshold(plain, threshold, label):
    classifier, _ = plain(gain=0.0, threshold=threshold)  # logits (0, 0): probability 0.5
    prediction = classifier.predict(half_bright())
    assert (prediction.label, prediction.probability, prediction.threshold) == (
        label,
        0.5,
        threshold,
    )


def test_mask_has_the_size_of_the_picture_and_covers_the_bright_part(plain):
    classifier, _ = plain()
    pixels = half_bright(48, 96)
    mask = classifier.predict(pixels).mask
    assert mask.dtype == bool
    assert mask.shape == (48, 96)
    assert mask[38:].all()
    assert not mask[:34].any()


def test_without_a_decoder_there_is_no_mask(plain):
    classifier, _ = plain(decoder=False)
    assert classifier.predict(half_bright()).mask is None


def test_channels_are_flair_t1c_t2_and_flair_replaces_a_missing_one(plain):
    classifier, network = plain()
    flair, t2 = half_bright(), half_bright()[::-1].copy()
    classifier.predict(flair, t2=t2)
    images = network.seen[0]
    assert images.shape == (1, 3, 32, 32)
    assert torch.equal(images[0, 0], images[0, 1])
    assert images[0, 0, -1].min() == 1
    assert images[0, 0, 0].max() == 0
    assert images[0, 2, 0].min() == 1
    assert images[0, 2, -1].max() == 0


def test_input_is_normalized_per_channel(plain):
    classifier, network = plain(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    classifier.predict(half_bright())
    assert network.seen[0][0, :, -1, 0].tolist() == [1.0, 3.0, 0.5]
    assert network.seen[0][0, :, 0, 0].tolist() == [-1.0, -1.0, 0.0]


def test_path_bytes_image_and_array_give_the_same_answer(plain, tmp_path):
    classifier, _ = plain()
    pixels = half_bright()
    file = tmp_path / "slice.png"
    Image.fromarray(pixels).save(file)
    sources = [pixels, Image.fromarray(pixels), file, str(file), file.read_bytes()]
    assert len({p.probability for p in classifier.predict_batch(sources)}) == 1


def test_bit_depth_gain_and_offset_do_not_change_the_answer(plain):
    classifier, _ = plain()
    pixels = half_bright()
    variants = [pixels, pixels.astype(np.uint16) * 300, pixels * 0.001 - 7.0]
    answers = [p.probability for p in classifier.predict_batch(variants)]
    assert answers == pytest.approx([answers[0]] * 3, abs=1e-6)


def test_a_batch_of_any_size_keeps_the_order(plain):
    classifier, network = plain(gain=3.0)
    slices = [half_bright(64, 64 + 16 * n) for n in range(5)]
    singly = [classifier.predict(pixels).probability for pixels in slices]
    assert len(set(singly)) == 5
    network.seen.clear()
    batch = classifier.predict_batch(slices, batch_size=2)
    assert [p.probability for p in batch] == pytest.approx(singly, abs=1e-6)
    assert [p.mask.shape for p in batch] == [pixels.shape for pixels in slices]
    assert [len(images) for images in network.seen] == [2, 2, 1]


def test_predict_batch_accepts_mappings_and_an_empty_list(plain):
    classifier, network = plain()
    pixels = half_bright()
    classifier.predict_batch([{"flair": pixels, "t1c": pixels, "t2": None}])
    assert len(network.seen) == 1
    assert classifier.predict_batch([]) == []


def test_a_bad_slice_in_a_batch_is_named_by_its_position(plain):
    classifier, _ = plain()
    with pytest.raises(DataError, match="Slice 2 of 3: The file could not be read"):
        classifier.predict_batch([half_bright(), b"no picture", half_bright()])


def test_sequences_of_different_sizes_are_refused(plain):
    classifier, _ = plain()
    with pytest.raises(DataError, match="FLAIR is 64×64 pixels and T2 80×64"):
        classifier.predict(half_bright(), t2=half_bright(64, 80))


def test_other_sequences_without_flair_are_refused(plain):
    classifier, _ = plain()
    with pytest.raises(DataError, match="FLAIR is missing"):
        classifier.predict_batch([{"t1c": half_bright()}])


def test_an_unknown_sequence_is_refused(plain):
    classifier, _ = plain()
    with pytest.raises(DataError, match="found t1"):
        classifier.predict_batch([{"flair": half_bright(), "t1": half_bright()}])


def test_a_sequence_that_the_model_was_not_trained_on_is_refused(plain):
    classifier, _ = plain(modalities=("flair",))
    with pytest.raises(DataError, match="not trained on T1c"):
        classifier.predict(half_bright(), t1c=half_bright())


def test_a_damaged_file_raises_a_data_error(plain):
    classifier, _ = plain()
    with pytest.raises(DataError, match="could not be read"):
        classifier.predict(b"")


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.fromarray(half_bright(level=level)) for level in (100, 200)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def nearly_empty() -> np.ndarray:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[30:32, 30:32] = 200
    return pixels


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (animated(), "file holds 2 frames"),
        (np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8), "color picture"),
        (np.full((64, 64), 7, np.uint8), "empty picture"),
        (nearly_empty(), "too little brain in the slice"),
    ],
)
def test_a_picture_that_is_not_a_slice_cannot_be_judged_for_a_stated_reason(plain, picture, reason):
    classifier, network = plain(threshold=0.25)
    prediction = classifier.predict(picture)
    assert (prediction.label, prediction.reason) == ("Cannot judge", reason)
    assert (prediction.probability, prediction.mask, prediction.heatmap) == (None, None, None)
    assert prediction.threshold == 0.25
    assert network.seen == []


def test_another_sequence_that_cannot_be_judged_is_named(plain):
    classifier, _ = plain()
    color = np.zeros((64, 64, 3), np.uint8)
    color[..., 0] = half_bright()
    assert classifier.predict(half_bright(), t2=color).reason == "T2: color picture"


def test_pictures_that_cannot_be_judged_keep_their_place_in_a_batch(plain):
    classifier, network = plain(gain=3.0)
    good, other = half_bright(), half_bright(64, 128)
    answers = classifier.predict_batch([animated(), good, nearly_empty(), other], batch_size=3)
    assert [a.label == "Cannot judge" for a in answers] == [True, False, True, False]
    assert answers[1].probability == classifier.predict(good).probability
    assert answers[3].mask.shape == (64, 128)
    assert [len(images) for images in network.seen[:2]] == [1, 1]


class Strict(Scope):
    """Refuses pictures that are bright in the middle row."""

    def judge(self, flair):
        return ["bright" if plane[0, 16].mean() > 0.5 else None for plane in flair]


def test_the_scope_judges_flair_alone_and_states_the_reason(plain):
    strict = Classifier(plain()[1], plain()[0].info, scope=Strict())
    below, middle = half_bright(), np.roll(half_bright(), -24, axis=0)
    assert strict.predict(middle).reason == "bright"
    assert strict.predict(below).reason is None
    assert strict.predict(below, t1c=middle).reason is None
    assert strict.predict(middle, t1c=below).reason == "bright"


def test_a_loaded_classifier_gives_the_probability_of_its_network(model_folder):
    classifier = Classifier.load(model_folder, device="cpu")
    network, info = load_model(model_folder)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    prediction = classifier.predict(pixels)
    planes = torch.from_numpy(brainai.data.images.prepare_slice(pixels, 64)).expand(1, 3, 64, 64)
    images = (planes - torch.tensor(info.mean).view(1, 3, 1, 1)) / torch.tensor(info.std).view(
        1, 3, 1, 1
    )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        expected = network(images).logits.float().softmax(dim=1)[0, 1].item()
    assert prediction.probability == pytest.approx(expected, abs=1e-6)
    assert prediction.mask.shape == (64, 64)


@pytest.mark.parametrize(
    ("of", "words"), [("these", "; Dice 50 % (25 to 75) on test patients"), ("others", "")]
)
def test_load_states_the_outcome_on_test_only_from_a_report_of_these_weights(tmp_path, of, words):
    point = "best Dice (F1) on validation patients"
    info = ModelInfo(architecture="test_resnet", image_size=64, operating_point=point)
    write_model(tmp_path / "m", build_network("test_resnet"), info)
    figures = {"dice": {"value": 0.5, "low": 0.25, "high": 0.75}}
    revision = read_model_info(tmp_path / "m").revision if of == "these" else "0" * 12
    report = {
        "format_version": 1,
        "about": {"split": "test", "model_revision": revision, "modalities": "flair"},
        "threshold": 0.5, "all": {"figures": figures}, "source": {}, "points": {},
    }  # fmt: skip
    (tmp_path / "m" / "report.json").write_text(json.dumps(sealed(report)))
    classifier = Classifier.load(tmp_path / "m", device="cpu")
    assert classifier.info.operating_point == point + words
    assert classifier.report == (report if of == "these" else None)


def test_load_refuses_a_folder_without_brainai_json(tmp_path):
    with pytest.raises(WeightsError, match=r"no brainai\.json"):
        Classifier.load(tmp_path)
