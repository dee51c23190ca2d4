"""Which uploads are accepted, and how files are offered for download."""

from pathlib import Path

import pytest

from brainai.errors import DataError
from brainai.web.uploads import (
    flag,
    offer,
    pixel_size,
    scan_file,
    uploaded,
    uploaded_paths,
    uploaded_slices,
)


def sent(folder: Path, name: str, size: int = 10) -> dict:
    """A file as Gradio has received it."""
    (folder / name).write_bytes(b"0" * size)
    return {"path": str(folder / name), "orig_name": name}


def test_a_folder_is_not_accepted_as_an_upload(uploads):
    (uploads / "another visitor").mkdir(exist_ok=True)
    for folder in (uploads, uploads / "another visitor"):
        with pytest.raises(DataError, match="found a folder") as caught:
            uploaded({"path": str(folder)})
        assert caught.value.code == "no_upload"


@pytest.mark.parametrize("name", ["outside.png", "uploads/../outside.png", "/etc/hostname"])
def test_files_outside_the_folder_of_uploads_are_refused(uploads, name):
    with pytest.raises(DataError, match="Expected an uploaded file") as caught:
        uploaded({"path": str(uploads.parent / name)})
    assert caught.value.code == "no_upload"


@pytest.mark.parametrize(
    ("upload", "found"),
    [
        ("slice.png", "a name"),
        ("/home/anna/slice.png", "a path of this server"),
        ("https://example.org/slice.png", "a URL"),
        ("data:image/png;base64,iVBORw0KGgo=", "a URL"),
        (5, "something else"),
    ],
)
def test_the_error_for_a_path_or_url_says_how_to_send_a_file(uploads, upload, found):
    with pytest.raises(DataError) as caught:
        uploaded(upload)
    assert str(caught.value) == (
        f"Expected an uploaded file, found {found}: send the file itself, in Python with "
        'handle_file("slice.png") of gradio_client.'
    )


@pytest.mark.parametrize("upload", [5, {"path": 5}, {"path": ["a"]}, ["a"], True])
def test_a_malformed_upload_is_refused(uploads, upload):
    with pytest.raises(DataError, match="Expected an uploaded file"):
        uploaded(upload)


def test_no_upload_gives_none(uploads):
    assert uploaded(None) is None
    assert uploaded({"path": None}) is None


def test_the_error_for_a_deleted_upload_asks_for_it_again(uploads):
    with pytest.raises(DataError, match="send it again"):
        uploaded({"path": str(uploads / "gone.png")})


def test_a_file_is_accepted_up_to_the_size_limit(uploads):
    upload = sent(uploads, "some.png", size=2**20)
    assert uploaded(upload, limit=2**20) == upload["path"]
    with pytest.raises(DataError, match="send one of at most 0 MB") as caught:
        uploaded(upload, limit=2**20 - 1)
    assert caught.value.code == "too_large"


def test_one_bad_file_among_many_keeps_its_place(uploads):
    good = sent(uploads, "good.png")
    names, files = uploaded_slices([good, {"path": "/etc/hostname"}, good, 5])
    assert names == ["good.png", "hostname", "good.png", "file"]
    assert files[0] == files[2] == good["path"]
    assert files[1].code == files[3].code == "no_upload"


def test_the_files_of_a_folder_keep_their_order_and_must_be_uploads(uploads):
    files = [sent(uploads, name) for name in ("b.png", "a.png")]
    assert uploaded_paths(files) == [str(uploads / "b.png"), str(uploads / "a.png")]
    assert uploaded_paths(None) == []
    with pytest.raises(DataError, match="Expected an uploaded file"):
        uploaded_paths([*files, {"path": "/etc/hostname"}])


def test_too_many_files_are_refused(uploads):
    with pytest.raises(DataError, match="Expected at most 200 files at once, found 201"):
        uploaded_slices([{}] * 201)


@pytest.mark.parametrize("nothing", [None, []])
def test_a_missing_file_is_reported(uploads, nothing):
    with pytest.raises(DataError) as caught:
        uploaded_slices(nothing)
    assert caught.value.code == "missing_flair"


def test_a_scan_is_its_only_file_or_a_temporary_folder_of_its_files(uploads):
    one, other = sent(uploads, "a.dcm"), sent(uploads, "b.dcm", size=20)
    with scan_file(None) as file:
        assert file is None
    for given in (one, [one]):
        with scan_file(given) as file:
            assert str(file) == one["path"]
    with scan_file([one, other]) as folder:
        assert sorted(file.stat().st_size for file in folder.iterdir()) == [10, 20]
    assert not folder.exists()


def test_files_of_a_series_may_have_the_same_name(uploads):
    (uploads / "1").mkdir()
    (uploads / "2").mkdir()
    with scan_file([sent(uploads / "1", "IM1"), sent(uploads / "2", "IM1")]) as folder:
        assert len(list(folder.iterdir())) == 2


def test_a_header_and_its_data_file_keep_their_names_and_are_not_links(uploads):
    (uploads / "beside").mkdir()
    with scan_file([sent(uploads, "a.mhd"), sent(uploads / "beside", "a.raw")]) as folder:
        assert sorted(file.name for file in folder.iterdir()) == ["a.mhd", "a.raw"]
        assert not any(file.is_symlink() for file in folder.iterdir())


def test_files_of_a_series_are_limited_together(uploads, monkeypatch):
    monkeypatch.setattr("brainai.web.uploads.MAX_SCAN_BYTES", 2**20)
    files = [sent(uploads, f"half{n}.dcm", size=2**19 + 1) for n in range(2)]
    with pytest.raises(DataError, match="Together the files are too large"), scan_file(files):
        pass


@pytest.mark.parametrize("size", [0.9, "0.9", " 0.9 ", 1, 10])
def test_a_pixel_size_may_be_text(size):
    assert pixel_size(size) == float(size)


@pytest.mark.parametrize(
    "size", [0.01, -1.0, 11.0, float("nan"), "1 mm", "nan", "1e400", True, [0.9], 10**400]
)
def test_an_impossible_pixel_size_is_refused(size):
    with pytest.raises(DataError, match="Expected pixels of 0") as caught:
        pixel_size(size)
    assert caught.value.code == "bad_pixel_size"


@pytest.mark.parametrize(
    ("value", "on"),
    [(True, True), ("true", True), (" True ", True), (1, True), ("1", True),
     (False, False), ("false", False), ("0", False), (0, False), ("", False), (None, False)],
)  # fmt: skip
def test_a_flag_may_be_text(value, on):
    assert flag(value, "masks") is on


def test_an_invalid_flag_is_refused_and_not_quoted():
    with pytest.raises(DataError, match="Expected true or false for masks, found something else"):
        flag("Anna", "masks")


def test_a_refused_pixel_size_is_not_quoted():
    with pytest.raises(DataError, match="found no number"):
        pixel_size("/home/somebody/scan.png")


def test_each_offered_file_has_its_own_address(uploads):
    files = [offer("mask.png", b"the same") for _ in range(2)]
    assert files[0]["path"] != files[1]["path"]
    assert Path(files[0]["path"]).read_bytes() == b"the same"
