"""Answers do not stay in memory. These tests use the running app, since they rely on what Gradio
calls its memory of sessions."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import pytest
from gradio_client import handle_file
from hostile import ask
from serving import connect, served, wait_until
from toy_heads import head

from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.limits import STAY_SECONDS, UNFETCHED_SECONDS
from brainai.web.page import Page
from brainai.web.sessions import Sessions

SESSION = "session-of-a-visitor"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class App:
    """A running app, of which one program asks for answers."""

    def __init__(self, page: Page, url: str):
        self.page, self.url, self.clock = page, url, Clock()
        self.sessions = Sessions(page, self.clock)

    def ask(self) -> str:
        """Ask for an answer, wait until it is there, and return the event's number."""
        body = {"data": [], "session_hash": SESSION}
        event = json.loads(ask(self.url, "POST", "/gradio_api/call/health", body).text)["event_id"]
        wait_until(lambda: event not in self.page._queue.event_ids_to_events)
        return event

    def fetch(self, event: str) -> str:
        with urllib.request.urlopen(f"{self.url}gradio_api/call/health/{event}") as reply:
            return reply.read().decode()

    def forget_at(self, seconds: float) -> None:
        self.clock.now = seconds
        self.sessions.forget()

    def kept(self) -> list[bool]:
        """Whether Gradio keeps messages and events of the session."""
        queue = self.page._queue
        places = (queue.pending_messages_per_session, queue.pending_event_ids_session)
        return [SESSION in place for place in places]


@pytest.fixture
def app(running) -> Iterator[App]:
    page = build_page(Jobs.of(running.classifier), running.classifier.info)
    with served(page) as url:
        yield App(page, url)


def test_an_answer_that_nobody_fetches_is_forgotten_after_ten_minutes(app):
    assert UNFETCHED_SECONDS == 600
    app.ask()
    app.forget_at(0)
    app.forget_at(599)
    assert app.kept() == [True, True]
    app.forget_at(600)
    assert app.kept() == [False, False]
    assert '"status"' in app.fetch(app.ask())  # the session can be used again


def test_a_new_answer_of_an_idle_session_gets_ten_minutes_too(app):
    app.ask()
    app.forget_at(0)
    event = app.ask()
    app.forget_at(600)
    assert "event: complete" in app.fetch(event)
    app.forget_at(600)
    app.forget_at(1200)
    assert app.kept() == [False, False]


def test_a_session_with_a_running_request_is_kept(app):
    event = app.ask()
    app.forget_at(0)
    queue = app.page._queue
    running = type("Running", (), {"session_hash": SESSION, "data": None})
    queue.event_ids_to_events["running"] = running
    app.page.state_holder.time_last_used[SESSION] -= timedelta(seconds=STAY_SECONDS)
    app.forget_at(10_000)
    assert app.kept() == [True, True]
    assert SESSION in app.page.state_holder
    del queue.event_ids_to_events["running"]
    app.forget_at(10_001)
    assert '"status"' in app.fetch(event)


def test_the_last_answers_of_a_page_are_forgotten_within_the_hour(app):
    app.ask()
    holder = app.page.state_holder
    assert holder.session_data[SESSION].config_values  # these hold the answers
    holder.time_last_used[SESSION] -= timedelta(seconds=STAY_SECONDS - 60)
    app.sessions.forget()
    assert SESSION in holder
    holder.time_last_used[SESSION] -= timedelta(seconds=60)
    app.sessions.forget()
    assert SESSION not in holder
    assert SESSION not in holder.time_last_used


def test_the_paths_of_files_are_forgotten(app, save):
    connect(app.url).predict(handle_file(str(save("slice.png", head(8)))), api_name="/predict")
    assert any("slice.png" in path for paths in app.page.temp_file_sets for path in paths)
    app.sessions.forget()
    assert not any(app.page.temp_file_sets)


def test_the_app_forgets_sessions_when_it_sweeps(running, monkeypatch):
    monkeypatch.setattr("brainai.web.sweep.SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("brainai.web.sessions.UNFETCHED_SECONDS", 0.1)
    monkeypatch.setattr("brainai.web.sessions.STAY_SECONDS", 0.1)
    page = build_page(Jobs.of(running.classifier), running.classifier.info)
    with served(page) as url:
        app = App(page, url)
        app.ask()
        wait_until(lambda: app.kept() == [False, False])
        wait_until(lambda: SESSION not in page.state_holder)
