"""Nothing that visitors send is kept."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio_client import handle_file
from serving import connect, served
from toy_heads import head

from brainai.web import sweep as module
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.limits import STAY_SECONDS, SWEEP_SECONDS
from brainai.web.sweep import PREFIX, claim_folder, sweep, swept


def swept_once(in_use: Callable[[], set[str]] = set) -> None:
    """Sweep until a sweep is complete."""

    async def sweep_once() -> None:
        done = asyncio.Event()

        async def finish() -> None:
            done.set()

        async with swept(in_use, finish):
            await asyncio.wait_for(done.wait(), 20)

    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(sweep_once())).result()


def test_old_files_and_folders_are_deleted_and_new_ones_are_kept(tmp_path, monkeypatch):
    (tmp_path / "old" / "empty").mkdir(parents=True)
    (tmp_path / "old" / "file").write_text("of a visitor")
    (tmp_path / "old" / "link").symlink_to("/nowhere")
    now = time.time()
    sweep(tmp_path, 60)
    assert (tmp_path / "old" / "file").exists()
    monkeypatch.setattr(module.time, "time", lambda: now + 100)
    sweep(tmp_path, 60)
    assert not list(tmp_path.rglob("*")) or [p.name for p in tmp_path.rglob("*")] == ["old"]
    sweep(tmp_path, 60)
    assert tmp_path.exists()


def test_files_that_a_request_needs_are_kept_however_old_they_are(tmp_path):
    for name in ("needed", "other"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "file").write_text("of a visitor")
    sweep(tmp_path, -1, {"needed"})
    assert [file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("file")] == ["needed"]


def test_a_new_file_with_an_old_date_is_kept(tmp_path):
    (tmp_path / "copy").write_text("of an old file")
    os.utime(tmp_path / "copy", (0, 0))
    sweep(tmp_path, 60)
    assert (tmp_path / "copy").exists()


def test_files_are_kept_for_less_than_an_hour():
    assert SWEEP_SECONDS + STAY_SECONDS < 3600


def test_the_folder_of_uploads_is_claimed_once_and_is_private(monkeypatch):
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    claim_folder()
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert folder.stat().st_mode & 0o077 == 0
    claim_folder()
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
    shutil.rmtree(folder)


def test_nothing_is_deleted_that_other_programs_have_in_the_folder_named_for_uploads(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "shared" / "inner"))
    monkeypatch.setattr(module, "STAY_SECONDS", -1)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))  # leave other apps alone
    claim_folder()
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert folder.parent == tmp_path / "shared" / "inner"
    killed = folder.parent / f"{PREFIX}of-an-earlier-process"
    killed.mkdir()
    for place in (folder, killed, folder.parent):
        (place / "file").write_text("content")
    (folder.parent / f"{PREFIX}planted").symlink_to(tmp_path / "shared")
    swept_once()
    assert list((tmp_path / "shared").rglob("file")) == [folder.parent / "file"]
    assert folder.exists()
    assert not killed.exists()


def test_the_folder_of_uploads_may_be_named_by_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "uploads")
    claim_folder()
    assert Path(os.environ["GRADIO_TEMP_DIR"]).parent == tmp_path / "uploads"


def test_sweeping_goes_on_after_an_error_whose_place_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    claim_folder()
    errors = [ValueError("of a visitor"), OSError("of a visitor")]

    def in_use() -> set[str]:
        if errors:
            raise errors.pop()
        return set()

    swept_once(in_use)
    assert [text.split(" at\n")[0] for text in caplog.messages] == ["OSError", "ValueError"]
    assert "of a visitor" not in caplog.text


@pytest.mark.slow
def test_uploads_masks_and_partial_files_are_deleted_while_the_app_runs(
    running, save, tmp_path, monkeypatch
):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    monkeypatch.setattr(module, "STAY_SECONDS", 1.5)
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.2)
    classifier = running.classifier

    def names() -> set[str]:
        return {file.name for file in uploads.rglob("*") if file.is_file()}

    with served(build_page(Jobs.of(classifier), classifier.info, running.examples)) as url:
        client = connect(url)
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        (folder / "tmpbroken").write_text("half a picture")
        client.predict(handle_file(str(save("fleeting.png", head(8)))), api_name="/predict")
        assert names() == {"tmpbroken", "fleeting.png", "mask.png"}
        deadline = time.monotonic() + 20
        while names() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not names()
        assert running.examples.slices[0].exists()
