"""Every kind of picture becomes the same slice, or a one-sentence error."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from PIL import Image
from scans import brain

from brainai.data.images import MAX_PIXELS, decode, fit, prepare_slice, restore, stretch, window
from brainai.errors import DataError, OutOfScope


def disc(scale: float = 200.0, height: int = 64, width: int = 48) -> np.ndarray:
    """A head in the dark, brighter to the right: `[H, W]` float, 0 to `scale`."""
    y, x = np.mgrid[:height, :width]
    inside = ((y - height / 2) / (height * 0.4)) ** 2 + ((x - width / 2) / (width * 0.4)) ** 2 < 1
    return np.where(inside, scale * (0.5 + 0.5 * x / width), 0.0)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_path_bytes_an_image_and_an_array_decode_to_the_same_pixels(tmp_path: Path) -> None:
    pixels = disc().astype(np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "slice.png")
    path = tmp_path / "slice.png"
    for source in (path, str(path), encoded(image), image, pixels):
        np.testing.assert_array_equal(decode(source), pixels.astype(np.float32))


def test_bit_depth_is_kept() -> None:
    deep = disc(60000).astype(np.uint16)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(deep))), deep.astype(np.float32))
    exact = disc(1.0).astype(np.float32)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(exact), "TIFF")), exact)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_every_mode_of_a_gray_picture_decodes_to_the_same_pixels(mode: str) -> None:
    image = Image.fromarray(disc().astype(np.uint8)).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    np.testing.assert_allclose(decode(encoded(image, kind)), disc().astype(np.uint8), atol=1)


def test_transparent_pixels_are_blended_with_black() -> None:
    pixels = np.full((40, 40, 4), 200, np.uint8)
    pixels[:20, :, 3] = 0
    decoded = decode(encoded(Image.fromarray(pixels)))
    assert not decoded[:20].any()
    np.testing.assert_allclose(decoded[20:], 200 * 200 / 255, rtol=1e-5)


def test_a_one_bit_picture_is_read() -> None:
    image = Image.fromarray(disc() > 0)
    assert set(np.unique(decode(encoded(image)))) == {0, 255}


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn clockwise
    content = encoded(Image.fromarray(disc().astype(np.uint8)), "PNG", exif=exif)
    np.testing.assert_array_equal(decode(content), np.rot90(disc().astype(np.uint8), -1))


def test_nan_and_infinity_become_the_lowest_value() -> None:
    pixels = disc() - 5
    pixels[0, 0], pixels[1, 1] = np.nan, np.inf
    assert decode(pixels)[0, 0] == -5
    assert decode(pixels)[1, 1] == -5


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"", "could not be read as a picture"),
        (b"hello", "could not be read as a picture"),
        (np.zeros((10, 64)), "64×10 pixels, which is too small"),
        (np.full((64, 64), 7), "empty: every pixel has the same value"),
        (np.full((64, 64), np.nan), "empty"),
        (np.zeros((64, 64, 7)), "found an array of shape"),
        (np.zeros(64), "found an array of shape"),
        (np.broadcast_to(np.uint8(1), (6000, 6000)), "at most 32 million"),
    ],
)
def test_input_that_is_not_a_slice_raises_a_one_sentence_error(
    source: object, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        decode(source)
    assert str(caught.value).endswith(".")


def nifti_head(magic: bytes) -> bytes:
    return (348).to_bytes(4, "little") + bytes(340) + magic + bytes(4000)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (nifti_head(b"n+1\0"), "a NIfTI file, which cannot be read as a slice: use it as a scan"),
        (gzip.compress(nifti_head(b"n+1\0"), mtime=0), "a NIfTI file"),
        (
            gzip.compress(nifti_head(b"n+1\0") + np.random.default_rng(0).bytes(9000), mtime=0)[
                :6000
            ],
            "a NIfTI file",
        ),
        (b"\x1c\2\0\0n+2\0\r\n\x1a\n" + bytes(600), "a NIfTI file"),
        (
            nifti_head(b"ni1\0"),
            "the header of a NIfTI pair, .*: save the scan as one",
        ),
        (gzip.compress(b"text", mtime=0), "a file compressed with gzip"),
        (b"\x1f\x8bno gzip", "a file compressed with gzip"),
        (b"ObjectType = Image\nNDims = 3\n", "a MetaImage file"),
        (
            b"PK\3\4" + bytes(100),
            "a zip file.*if it holds a scan, use it as a scan.*; otherwise unpack",
        ),
        (b"NRRD0004\n", r"an NRRD file.*save it as NIfTI \(\.nii\.gz\)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file.*save the slice as PNG"),
        (b"\0\0\0\x18ftypheic", "a photo in HEIC"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b'{"EchoTime": 0.1}', "a JSON file.*provide the scan or picture that belongs to it"),
    ],
)
def test_known_files_that_are_not_pictures_are_named_with_advice(
    tmp_path: Path, source: bytes, sentence: str
) -> None:
    (tmp_path / "slice").write_bytes(source)
    for given in (source, tmp_path / "slice", str(tmp_path / "slice")):
        with pytest.raises(DataError, match=f"^This is {sentence}") as caught:
            decode(given)
        assert caught.value.code == "unreadable"
        assert str(tmp_path) not in str(caught.value)


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"This is a folder, .*: use it as a scan"):
        decode(tmp_path)


def test_a_truncated_picture_is_called_damaged() -> None:
    content = encoded(Image.fromarray(disc().astype(np.uint8)))
    with pytest.raises(DataError, match="could not be read as a picture: it is damaged"):
        decode(content[:200])


@pytest.mark.parametrize("kind", ["EPS", "PCX", "SGI", "TGA", "ICO", "PDF"])
def test_formats_other_than_the_supported_eight_are_refused(kind: str) -> None:
    other = encoded(Image.fromarray(disc().astype(np.uint8)), kind)
    said = "This is a PDF document" if kind == "PDF" else "could not be read as a picture"
    with pytest.raises(DataError, match=said):
        decode(other)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file slice\.png") as caught:
        decode(tmp_path / "slice.png")
    assert str(tmp_path) not in str(caught.value)


def test_a_color_picture_is_refused_but_jpeg_noise_is_accepted() -> None:
    gray = Image.fromarray(disc().astype(np.uint8)).convert("RGB")
    assert decode(encoded(gray, "JPEG", quality=60)).shape == (64, 48)
    color = np.zeros((64, 64, 3), np.uint8)
    color[..., 0] = 200
    with pytest.raises(DataError, match="color picture"):
        decode(encoded(Image.fromarray(color)))


def test_a_file_with_several_frames_is_refused() -> None:
    frames = [Image.fromarray(disc(value).astype(np.uint8)) for value in (100, 200, 250)]
    for kind in ("GIF", "TIFF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="3 frames"):
            decode(content)


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(DataError, match="at most 32 million"):
        decode(encoded(Image.new("1", (side, side))))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"])
def test_files_truncated_anywhere_raise_no_other_error_than_data_error(kind: str) -> None:
    whole = encoded(Image.fromarray(disc().astype(np.uint8)), kind)
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        try:
            decode(whole[:length])
        except DataError as error:
            assert "read as a picture" in str(error) or "empty" in str(error)


def test_window_sets_background_to_0_and_the_brightest_tissue_to_1() -> None:
    windowed = window(disc(900))
    assert windowed[0, 0] == 0
    assert windowed.max() == 1
    assert 0.45 < windowed[disc() > 0].min() < 0.65  # half as bright stays about half as bright


def test_window_is_invariant_to_scale_and_offset() -> None:
    np.testing.assert_allclose(window(disc(200)), window(disc(4000)), atol=1e-4)
    np.testing.assert_allclose(window(disc(200)), window(disc(200) + 1000), atol=1e-3)


def test_window_is_robust_to_a_few_saturated_voxels() -> None:
    pixels = disc(1000)
    pixels[30:32, 20:22] = 32767
    difference = np.abs(window(pixels) - window(disc(1000)))
    assert np.median(difference[disc() > 0]) < 0.02


def test_window_sets_the_background_of_a_z_scored_brain_to_0() -> None:
    pixels = disc(1000) * np.random.default_rng(0).uniform(0.9, 1.1, disc().shape)
    brain = pixels > 0
    scored = np.where(brain, (pixels - pixels[brain].mean()) / pixels[brain].std(), 0.0)
    windowed = window(scored)
    assert windowed[~brain].max() == 0
    order = np.argsort(pixels[brain])
    assert (np.diff(windowed[brain][order]) >= -1e-6).all()


def test_window_of_a_flat_slice_is_0() -> None:
    assert not window(np.full((40, 40), 5.0)).any()


def test_fit_and_restore_are_inverse() -> None:
    pixels = disc(1.0, height=60, width=41).astype(np.float32)
    fitted = fit(pixels, 60)
    assert fitted.shape == (60, 60)
    assert fitted.sum() == pytest.approx(pixels.sum())
    assert not fitted[:, :9].any()
    assert not fitted[:, 50:].any()
    np.testing.assert_array_equal(restore(fitted, 60, 41), pixels)


def test_restore_returns_a_small_slice_to_its_place() -> None:
    pixels = np.zeros((32, 20), np.float32)
    pixels[8:16, 10:] = 1
    back = restore(fit(pixels, 64), 32, 20)
    assert back[9:15, 12:].min() > 0.9 > 0.1 > back[18:].max()
    assert back[:, :8].max() < 0.1


def test_a_strip_takes_no_more_memory_than_its_pixels() -> None:
    strip = np.zeros((40, 200_000), np.float32)  # padded to a square before it shrinks: 160 GB
    assert fit(strip, 64).shape == (64, 64)
    assert restore(np.ones((64, 64), np.float32), 40, 200_000).min() == 1


def test_stretch_averages_pixels_when_it_shrinks() -> None:
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 32))
    small = stretch(stripes, 16, 16)
    np.testing.assert_allclose(small[:, 2:-2], 0.5, atol=0.05)


def test_prepared_slice_has_the_requested_size_and_range() -> None:
    prepared = prepare_slice(disc(3000), 32)
    assert prepared.shape == (32, 32)
    assert prepared.dtype == np.float32
    assert prepared.min() >= 0
    assert prepared.max() <= 1


def test_a_truncated_second_frame_raises_a_data_error() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(np.full((64, 64), level, np.uint8)) for level in (10, 200)]
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    whole = file.getvalue()
    for length in range(len(whole) // 2, len(whole), 97):
        with pytest.raises(DataError):
            decode(whole[:length])


def test_window_saturates_one_in_200_foreground_pixels() -> None:
    # 1000 levels from 1001 to 2000, beside as many pixels of background at 0. Nothing lies below a
    # tenth of the range, so that the 99.5th percentile is 1001 + 0.995 * 999 = 1995.005.
    pixels = np.append(np.zeros(1000), np.arange(1001, 2001)).reshape(40, 50)
    windowed = window(pixels)
    assert (windowed == 1).sum() == 5  # 1996 to 2000
    assert windowed[pixels == 1900].item() == pytest.approx(1900 / 1995.005, rel=1e-6)


def test_window_extends_to_at_most_six_times_the_typical_tissue() -> None:
    # 10 of 800 pixels of tissue at 100 are 10,000, more than one in 200: white is 6 * 100 then.
    pixels = np.zeros((40, 50))
    pixels[10:30, 5:45], pixels[10, 5:15] = 100, 10_000
    windowed = window(pixels)
    assert windowed[20, 20] == pytest.approx(1 / 6)
    assert windowed[10, 10] == 1


def test_slices_below_32_pixels_a_side_are_refused() -> None:
    assert decode(np.eye(32)).shape == (32, 32)
    for shape in ((31, 40), (40, 31)):
        with pytest.raises(DataError, match="at least 32×32"):
            decode(np.eye(*shape))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBa", "PA", "F", "I"])
def test_rare_modes_of_images_in_memory_decode_to_the_same_pixels(mode: str) -> None:
    step = {"HSV": "RGB", "YCbCr": "RGB", "RGBa": "RGBA", "PA": "LA"}.get(mode, "L")
    image = Image.fromarray(disc().astype(np.uint8)).convert(step)
    np.testing.assert_allclose(decode(image.convert(mode)), disc().astype(np.uint8), atol=2)


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
@pytest.mark.parametrize(("count", "said"), [(2, "2"), (8, "8"), (9, "more than 8")])
def test_frames_are_counted_up_to_eight(kind: str, count: int, said: str) -> None:
    random = np.random.default_rng(0)
    frames = [Image.fromarray(random.integers(0, 255, (40, 40), np.uint8)) for _ in range(count)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(OutOfScope, match=f"file holds {said} frames"):
        decode(content)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_array_channels_are_averaged_and_the_last_of_an_even_number_is_alpha(
    channels: int,
) -> None:
    pixels = np.repeat(disc().astype(np.uint8)[..., None], channels, axis=2)
    if channels in (2, 4):
        pixels[..., -1] = 255
    np.testing.assert_allclose(decode(pixels), disc().astype(np.uint8))


def test_a_very_wide_array_with_channels_is_decoded_completely() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30_000, 1), np.uint8)  # two strips
    np.testing.assert_array_equal(decode(pixels), pixels[..., 0])


def test_color_is_judged_by_its_mean_over_the_picture() -> None:
    # Half of the picture has channels 18 and 22 apart: means of 9 and 11; the limit is 10.
    for apart, refused in ((18, False), (22, True)):
        pixels = np.repeat(disc(200, 64, 64).astype(np.uint8)[..., None], 3, axis=2)
        pixels[:32] = (100, 100 + apart, 100)
        if refused:
            with pytest.raises(OutOfScope, match="color picture"):
                decode(pixels)
        else:
            assert decode(pixels).shape == (64, 64)


def test_window_keeps_the_zeros_of_a_signed_slice_that_they_do_not_frame() -> None:
    """Half of the edge is 0, the middle of the range: this is not a background around a brain."""
    pixels = np.random.default_rng(0).uniform(-1, 1, (40, 40))
    pixels[:20] = 0
    windowed = window(pixels)
    assert 0.3 < windowed[0, 0] < 0.7


def test_the_picture_reader_recognizes_a_dicom_file(tmp_path: Path) -> None:
    path = write_series(tmp_path / "series", brain()) / f"{PLANTED[0]}_000.dcm"
    old = path.read_bytes()[132:]  # without the DICM marker, as in old archives
    for source in (path, path.read_bytes(), old):
        with pytest.raises(DataError, match="This is a DICOM file") as refused:
            decode(source)
        assert "damaged" not in str(refused.value)
