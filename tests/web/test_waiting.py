"""Who is admitted to the queue: waits worked out by hand, and a full queue for each client."""

import json
import threading
import time
from urllib.request import urlopen

import pytest
from asking import checked, run_over_http
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from hostile import ask, file, upload
from serving import connect, served
from toy_heads import head, scan_file

from brainai.web import waiting
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.limits import Patience
from brainai.web.waiting import Busy, Line, RecentTime, check_patience, seconds_to_wait


def test_a_free_place_means_no_wait():
    assert seconds_to_wait(Line(2, [], [])) == 0
    assert seconds_to_wait(Line(2, [9.0], [])) == 0


def test_the_wait_is_all_earlier_work_divided_by_the_places():
    """Two places with 1 s and 3 s to go, and three that wait for 2 s each: 10 s, two at a time."""
    assert seconds_to_wait(Line(2, [1.0, 3.0], [2.0, 2.0, 2.0])) == 5
    assert seconds_to_wait(Line(1, [20.0], [])) == 20


def test_a_request_beyond_the_limit_is_told_when_to_come_back():
    check_patience(Line(1, [10.0], [10.0, 10.0]), Patience(30, 99, 1))
    with pytest.raises(Busy) as caught:  # 44.5 s, of which 14.5 too many
        check_patience(Line(1, [10.0], [10.0, 10.0, 14.5]), Patience(30, 99, 1))
    assert caught.value.seconds == 15
    assert str(caught.value) == "Too many requests are waiting: try again in 15 seconds."


def test_a_hundred_fast_requests_may_wait_but_three_slow_ones_may_not():
    check_patience(Line(2, [0.2, 0.2], [0.2] * 100), Patience(30, 200, 1))
    with pytest.raises(Busy):
        check_patience(Line(2, [20, 20], [20] * 3), Patience(30, 200, 1))


def test_the_number_of_waiting_requests_is_limited_however_fast_they_are():
    check_patience(Line(1, [0.1], [0.1] * 4), Patience(30, 5, 1))
    with pytest.raises(Busy) as caught:
        check_patience(Line(1, [0.1], [0.1] * 5), Patience(30, 5, 1))
    assert caught.value.seconds == 1


def test_the_latest_times_count_most():
    """10, then 0.8 · 10 + 0.2 · 20 = 12, then 0.8 · 12 + 0.2 · 2 = 10."""
    recent = RecentTime()
    means = []
    for seconds in (10, 20, 2):
        recent.add(seconds)
        means.append(round(recent.avg_time, 6))
    assert means == [10, 12, 10]


class Held:
    """An app whose slices take until `go_on` is set, and in which only one may wait."""

    def __init__(self, url: str, go_on: threading.Event):
        self.url, self.go_on = url, go_on

    def fill(self, save) -> None:
        """Eight in progress, and one that waits."""
        (path,) = json.loads(upload(self.url, save("a.png", head()).read_bytes()).text)
        body = {"data": [file(path), None, None, None]}
        admitted = [ask(self.url, "POST", "/gradio_api/call/predict", body) for _ in range(9)]
        assert [reply.status for reply in admitted] == [200] * 9
        self.events = [json.loads(reply.text)["event_id"] for reply in admitted]
        deadline = time.monotonic() + 20
        while ask(self.url, "POST", "/gradio_api/call/predict", body).status != 503:
            assert time.monotonic() < deadline
        self.body = body

    def answer(self, event: str) -> str:
        """The stream with the answer of an admitted request."""
        with urlopen(f"{self.url}gradio_api/call/predict/{event}", timeout=60) as reply:
            return reply.read().decode()


@pytest.fixture
def held(running, monkeypatch):
    monkeypatch.setitem(waiting.PATIENCE, "slice", Patience(99, 1, 32.0))
    go_on = threading.Event()

    def wait(**_):
        go_on.wait(60)
        return running.classifier.predict(running.examples.slices[0])

    jobs = Jobs.of(running.classifier)._replace(slice=wait)
    page = build_page(jobs, running.classifier.info, running.examples)
    with served(page) as url:
        yield Held(url, go_on)
        go_on.set()


def test_over_http_a_full_queue_gives_status_503_with_code_and_retry_after(held, save):
    held.fill(save)
    for path, body in (
        ("call/predict", held.body),
        ("call/v2/predict", {"flair": held.body["data"][0]}),
    ):
        reply = ask(held.url, "POST", f"/gradio_api/{path}", body)
        assert (reply.status, reply.code) == (503, "busy")
        assert reply.headers["retry-after"] == "4"  # 32 s a slice, eight at a time
        sentence = "Too many requests are waiting: try again in 4 seconds."
        assert json.loads(reply.text) == {"error": sentence, "title": "busy"}


def test_the_python_client_gets_the_code_and_message_of_a_full_queue(held, save):
    held.fill(save)
    with pytest.raises(AppError, match="try again in 4 seconds") as caught:
        connect(held.url).predict(handle_file(str(save("b.png", head()))), api_name="/predict")
    assert caught.value.title == "busy"


def test_scans_health_and_the_model_do_not_wait_for_slices(held, save, tmp_path):
    held.fill(save)
    client = connect(held.url)
    sent = handle_file(str(scan_file(tmp_path / "flair.nii.gz")))
    assert client.predict(sent, api_name="/predict_scan")["slices"]
    assert checked(client.predict(api_name="/health"), "health")["status"] == "ok"
    assert checked(run_over_http(held.url, "health"), "health")["status"] == "ok"
    assert client.predict(api_name="/model_info")["threshold"]


def test_admitted_requests_are_answered_and_then_there_is_room_again(held, running, save):
    held.fill(save)
    held.go_on.set()
    for event in held.events:
        answer = held.answer(event)
        assert "event: complete" in answer
        assert '"probability"' in answer
    client, deadline = connect(held.url), time.monotonic() + 60
    while True:  # those who wait need a moment
        try:
            sent = handle_file(str(running.examples.slices[0]))
            assert client.predict(sent, api_name="/predict")["label"]
            return
        except AppError as error:
            assert (error.title, time.monotonic() < deadline) == ("busy", True)
            time.sleep(0.1)


@pytest.mark.browser
def test_the_page_shows_on_the_card_when_to_try_again(held, visit, save):
    held.fill(save)
    page = visit("Slice", url=held.url)
    page.locator("#examples").get_by_role("button").first.click()
    page.locator("#answer").get_by_text("try again in 4 seconds").wait_for()
    assert "Not judged yet" in page.locator("#answer").inner_text()
