"""Forget what Gradio keeps of sessions that have ended.

Gradio 6.31 keeps answers until their client fetches them, and without any limit of time the last
answer that the page shows and the paths of all files.
"""

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import gradio as gr

from brainai.web.limits import STAY_SECONDS, UNFETCHED_SECONDS


class Sessions:
    """The sessions of a page.

    Args:
        page: the page; it must have been launched before `forget` is called.
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, page: gr.Blocks, clock: Callable[[], float] = time.monotonic):
        self.page, self.clock = page, clock
        # For each idle session, the events whose answers were not fetched, and since when.
        self._idle: dict[str, tuple[frozenset[str], float]] = {}

    def forget(self) -> None:
        """Forget answers that nobody fetches, the pages of visitors who have left, and paths.

        Call it in the event loop of the server, which changes the queue.
        """
        events = list(self.page._queue.event_ids_to_events.values())
        busy = {event.session_hash for event in events}
        self._forget_answers(busy)
        self._forget_pages(busy)
        for paths in self.page.temp_file_sets:  # only Gradio's `delete_cache` would read them
            paths.clear()

    def _forget_answers(self, busy: Collection[str]) -> None:
        messages = self.page._queue.pending_messages_per_session
        unfetched = self.page._queue.pending_event_ids_session
        now, before = self.clock(), self._idle
        self._idle = {}
        for session in {*messages, *unfetched}.difference(busy):
            events = frozenset(unfetched.get(session, ()))
            known, since = before.get(session, (None, now))
            since = since if events == known else now  # there may be a new answer
            if now - since < UNFETCHED_SECONDS:
                self._idle[session] = (events, since)
            else:
                messages.pop(session, None)
                unfetched.pop(session, None)

    def _forget_pages(self, busy: Collection[str]) -> None:
        holder = self.page.state_holder
        before = datetime.now() - timedelta(seconds=STAY_SECONDS)
        for session, used in list(holder.time_last_used.items()):
            if used <= before and session not in busy:
                with holder.lock:
                    holder.session_data.pop(session, None)
                    holder.time_last_used.pop(session, None)
