"""The limits on all uploads together: numbers worked out by hand, and the running app."""

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hostile import ask, file, upload
from serving import served, wait_until

from brainai.errors import DataError
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.quota import SERVER, Amount, UploadLedger
from brainai.web.reading import read_slice
from brainai.web.receiving import delete_uploads, recount


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock) -> UploadLedger:
    """Limits of 100 bytes and 4 files for each visitor, 250 bytes and 100 files for all."""
    ledger = UploadLedger(Amount(100, 4), Amount(250, 100), free_bytes=lambda: 10**9, clock=clock)
    ledger.used = set()
    ledger.in_use = lambda: ledger.used
    return ledger


def keep(ledger: UploadLedger, visitor: str, name: str, size: int, files: int = 1) -> list[str]:
    gone = ledger.take(visitor, Amount(size, files))
    ledger.keep(visitor, name, Amount(size, files), Amount(size, files))
    return gone


def test_bytes_and_files_are_counted_as_they_arrive_and_released(ledger):
    ledger.take("a", Amount(60, 1))
    ledger.take("a", Amount(30, 1))
    ledger.take("b", Amount(5, 1))
    assert (ledger.held("a"), ledger.held()) == (Amount(90, 2), Amount(95, 3))
    ledger.give_back("a", Amount(90, 2))
    assert (ledger.held("a"), ledger.held()) == (Amount(), Amount(5, 1))


def test_stored_bytes_count_and_not_the_request_around_them(ledger):
    ledger.take("a", Amount(60, 2))
    ledger.keep("a", "one", Amount(60, 2), Amount(50, 1))
    assert ledger.held("a") == Amount(50, 1)


def test_concurrent_uploads_count_together_and_a_refused_one_changes_nothing(ledger):
    ledger.take("a", Amount(60, 1))
    with pytest.raises(DataError, match="at most 0 MB and 4 files at once") as caught:
        ledger.take("a", Amount(41, 1))
    assert caught.value.code == "too_much"
    assert ledger.held("a") == Amount(60, 1)
    assert ledger.take("a", Amount(40, 1)) == []


def test_files_are_limited_as_well_as_bytes(ledger):
    ledger.take("a", Amount(1, 4))
    with pytest.raises(DataError, match="at most"):
        ledger.take("a", Amount(1, 1))


def test_the_visitors_oldest_uploads_are_deleted_first_as_far_as_needed(ledger):
    for visitor, name in (("b", "b1"), ("a", "a1"), ("a", "a2"), ("a", "a3")):
        keep(ledger, visitor, name, 30)
    ledger.name(["b1", "a1", "a2", "a3"])
    assert ledger.take("a", Amount(35, 1)) == ["a1"]
    assert ledger.held("a") == Amount(95, 3)


def test_an_upload_that_is_used_again_is_no_longer_the_oldest(ledger):
    for name in ("a1", "a2", "a3"):
        keep(ledger, "a", name, 30)
    ledger.name(["a1", "a2", "a3"])
    ledger.name(["a1"])
    assert ledger.take("a", Amount(30, 1)) == ["a2"]


def test_an_upload_that_a_request_needs_is_not_deleted(ledger):
    keep(ledger, "a", "a1", 60)
    keep(ledger, "a", "a2", 40)
    ledger.name(["a1", "a2"])
    ledger.used = {"a1"}
    assert ledger.take("a", Amount(30, 1)) == ["a2"]
    with pytest.raises(DataError):
        ledger.take("a", Amount(30, 1))


def test_a_new_upload_is_not_deleted_before_a_request_could_use_it(ledger, clock):
    keep(ledger, "a", "a1", 60)
    with pytest.raises(DataError):
        ledger.take("a", Amount(60, 1))
    clock.now = 60.0
    assert ledger.take("a", Amount(60, 1)) == ["a1"]


def test_beyond_the_limit_for_all_the_oldest_upload_of_anybody_is_deleted(ledger, clock):
    for name in ("a", "b", "c"):
        keep(ledger, name, f"{name}1", 80)
    with pytest.raises(DataError, match="no room for more files") as caught:
        ledger.take("d", Amount(20, 1))
    assert caught.value.code == "full"
    clock.now = 60.0
    assert ledger.take("d", Amount(20, 1)) == ["a1"]
    assert ledger.take("c", Amount(15, 1)) == []
    assert ledger.held() == Amount(195, 4)


def test_files_of_others_are_not_deleted_for_a_visitor_at_the_limit(ledger, clock):
    keep(ledger, "b", "b1", 90)
    clock.now = 60.0
    ledger.take("a", Amount(100, 1))
    with pytest.raises(DataError) as caught:
        ledger.take("a", Amount(1, 1))
    assert caught.value.code == "too_much"
    assert ledger.held("b") == Amount(90, 1)


def test_half_of_the_disk_stays_free(ledger):
    """60 bytes are held and 100 free: half of 160 is 80, so 20 more fit."""
    ledger.take("a", Amount(60, 1))
    ledger.free_bytes = lambda: 100
    assert ledger.take("b", Amount(20, 1)) == []
    ledger.free_bytes = lambda: 80
    with pytest.raises(DataError, match="no room"):
        ledger.take("b", Amount(1, 1))


def test_deleted_files_are_released_and_unknown_ones_count_for_the_server(ledger, clock):
    keep(ledger, "a", "gone", 30)
    keep(ledger, "a", "there", 20)
    clock.now = 10.0
    keep(ledger, "a", "new", 10)
    ledger.coming.add("on its way")
    found = {name: Amount(7, 1) for name in ("there", "mask", "on its way")}
    ledger.reconcile(found, looked=5.0)
    assert ledger.held("a") == Amount(30, 2)
    assert ledger.held(SERVER) == Amount(7, 1)
    ledger.reconcile(found, looked=20.0)
    assert ledger.held("a") == Amount(20, 1)


def counted_again(ledger: UploadLedger) -> None:
    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(recount(ledger))).result()


def test_files_outside_the_folder_of_an_upload_are_counted_and_can_be_deleted(own_uploads):
    (own_uploads / "upload" / "inner").mkdir(parents=True)
    (own_uploads / "upload" / "inner" / "file").write_bytes(b"0" * 5)
    (own_uploads / "upload" / "other").write_bytes(b"0" * 2)
    (own_uploads / "alone").write_bytes(b"0" * 3)
    ledger = UploadLedger()
    counted_again(ledger)
    assert ledger.held(SERVER) == Amount(10, 3)
    delete_uploads(["alone", "upload", "gone"])
    assert list(own_uploads.iterdir()) == []
    counted_again(ledger)
    assert ledger.held(SERVER) == Amount()


@pytest.fixture
def own_uploads(tmp_path, monkeypatch):
    """A folder of uploads in which no other test has any."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def bounded(running, own_uploads, monkeypatch):
    """The app with 2 MB and 5 files for each visitor, 3 MB for all; visitors come from a proxy."""
    made = []

    def small(**options):
        made.append(UploadLedger(Amount(2 * 2**20, 5), Amount(3 * 2**20, 50), **options))
        return made[0]

    monkeypatch.setattr("brainai.web.interface.UploadLedger", small)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    with served(build_page(Jobs.of(running.classifier), running.classifier.info)) as url:
        yield url, made[0]


def size_on_disk(folder) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def by(visitor: str) -> dict[str, str]:
    return {"X-Forwarded-For": visitor}


def test_nothing_beyond_the_limit_reaches_the_disk(bounded, own_uploads):
    url, ledger = bounded
    reply = upload(url, b"0" * 50 * 2**20)
    assert (reply.status, reply.code) == (413, "too_much")
    assert reply.text == (
        "You may send at most 2 MB and 5 files at once: wait for your answers, or try again in "
        "60 seconds."
    )
    assert reply.headers["retry-after"] == "60"
    assert size_on_disk(own_uploads) == 0
    assert ledger.held("127.0.0.1") == Amount()


def test_there_is_a_limit_for_each_visitor_and_one_for_all(bounded):
    url, _ = bounded
    send = partial(upload, url, b"0" * 1_500_000)
    assert send(headers=by("203.0.113.1")).status == 200
    assert send(headers=by("203.0.113.1")).code == "too_much"
    assert send(headers=by("203.0.113.2")).status == 200
    reply = send(headers=by("203.0.113.3"))
    assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "full", "300")
    assert reply.text.startswith("The server has no room for more files at the moment")


def test_small_files_are_limited_by_their_number(bounded, own_uploads):
    url, ledger = bounded
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="{}.png"\r\n\r\na\r\n'
    body = "".join(part.format(n) for n in range(900)) + "--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(url, "POST", "/gradio_api/upload", body.encode(), kind).code == "too_much"
    assert not [path for path in own_uploads.rglob("*") if path.is_file()]
    assert ledger.held() == Amount()


def test_an_aborted_upload_releases_what_it_held(bounded, own_uploads):
    url, ledger = bounded
    place = urlsplit(url)
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 1500000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    )
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head.encode() + b"0" * 1_000_000)
        wait_until(lambda: ledger.held("127.0.0.1").bytes > 900_000)
    wait_until(lambda: ledger.held("127.0.0.1") == Amount())
    wait_until(lambda: size_on_disk(own_uploads) == 0)
    wait_until(lambda: not ledger.coming)


def test_a_file_that_waits_for_its_answer_is_not_deleted_for_another(
    running, own_uploads, monkeypatch
):
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def read_late(path, *_):
        begun.set()
        go_on.wait(60)
        seen.append(Path(path).read_bytes())
        return read_slice(str(running.examples.slices[0]))

    monkeypatch.setattr("brainai.web.reading.read_slice", read_late)
    monkeypatch.setattr(
        "brainai.web.interface.UploadLedger",
        partial(UploadLedger, Amount(2 * 2**20, 5), Amount(2**30, 500)),
    )
    with served(build_page(Jobs.of(running.classifier), running.classifier.info)) as url:
        (first,) = json.loads(upload(url, b"1" * 1_500_000).text)
        body = {"data": [file(first), None, None, None]}
        asked = ask(url, "POST", "/gradio_api/call/predict", body)
        assert begun.wait(30)
        assert upload(url, b"2" * 1_500_000).code == "too_much"
        go_on.set()
        event = json.loads(asked.text)["event_id"]
        wait_until(lambda: seen)
        ask(url, "GET", f"/gradio_api/call/predict/{event}")
        wait_until(lambda: upload(url, b"2" * 1_500_000).status == 200)
    assert seen == [b"1" * 1_500_000]


@pytest.mark.browser
def test_the_page_shows_the_error_to_a_visitor_who_sent_too_much(bounded, visit, tmp_path):
    url, _ = bounded
    (tmp_path / "large.nii.gz").write_bytes(b"0" * 3 * 2**20)
    page = visit("Scan", url=url)
    page.set_input_files("#scan-file input[type=file]", tmp_path / "large.nii.gz")
    page.get_by_text("You may send at most 2 MB and 5 files at once").first.wait_for()
