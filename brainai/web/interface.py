"""Build the page with its endpoints, and serve it."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.routing import Route

from brainai.data.reader_pool import POOL
from brainai.markup import Markup, render
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.about_page import add_about_page
from brainai.web.api_page import add_api_page
from brainai.web.endpoints import add_endpoints
from brainai.web.examples import Examples
from brainai.web.front import FrontDoor
from brainai.web.guard import Guard
from brainai.web.jobs import Jobs
from brainai.web.limits import MAX_SCAN_BYTES, MAX_WAITING, SESSIONS
from brainai.web.logs import log_places_only
from brainai.web.many_page import add_many_page
from brainai.web.memory import share_arenas, trimmed
from brainai.web.open_routes import API
from brainai.web.page import Page
from brainai.web.proxies import Proxies, uvicorn_trusts_nobody
from brainai.web.quota import UploadLedger
from brainai.web.receiving import recount, upload_route
from brainai.web.scan_page import add_scan_page
from brainai.web.sessions import Sessions
from brainai.web.slice_page import SlicePage, add_slice_page
from brainai.web.start_page import StartPage, add_start_page
from brainai.web.style import plain_html, theme
from brainai.web.sweep import claim_folder, swept
from brainai.web.uploads import refuse_addresses, uploads_in_use
from brainai.web.waiting import configure_queue

CSS = Path(__file__).parent / "assets" / "page.css"


def build_page(
    jobs: Jobs,
    info: ModelInfo,
    examples: Examples | None = None,
    report: dict[str, Any] | None = None,
    weights: Fetched | None = None,
) -> Page:
    """Return the page with all tabs and endpoints.

    Args:
        jobs: the functions that judge slices and scans.
        info: the facts about the model.
        examples: files that a visitor can try.
        report: the content of the model's report.json, if there is one.
        weights: where the model comes from.
    """
    claim_folder()
    examples, weights = examples or Examples(), weights or Fetched(Path())
    with Page(title="BrainAI", analytics_enabled=False, fill_width=True) as page:
        plain_html(title(notices(info, weights)), elem_id="title")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Start", id="start"):
                start = add_start_page(page, jobs, info, examples)
            with gr.Tab("Slice", id="slice"):
                slices = add_slice_page(jobs, info, examples)
            with gr.Tab("Scan", id="scan"):
                add_scan_page(jobs, info, examples)
            with gr.Tab("Many slices", id="many"):
                add_many_page(jobs, info)
            with gr.Tab("About", id="about"):
                add_about_page(info, report, weights)
            with gr.Tab("API", id="api"):
                add_api_page(page)
        _connect(start, tabs, slices)
        add_endpoints(jobs, info, report, weights)
        page.add_refusal()
    refuse_addresses(page)
    return page.queue(max_size=MAX_WAITING, api_open=False)  # no request may skip the queue


def notices(info: ModelInfo, weights: Fetched) -> list[str]:
    """Return what a visitor must know about the weights before anything else."""
    sentences = [] if weights.notice is None else [weights.notice]
    if not info.calibrated:
        sentences.append("The probabilities of these weights are not calibrated.")
    if not info.scope:
        sentences.append(
            "These weights refuse few pictures: check yourself that each picture is a FLAIR slice."
        )
    return sentences


def title(notices: list[str]) -> Markup:
    """Return the name of the page, what it is not for, and the notices."""
    return render("title.html", notices=notices)


def launch(page: Page, **options: Any) -> Any:
    """Serve the page with settings that are fit for medical pictures.

    The server keeps no history, shows and logs no internal error, and limits and deletes uploads.
    If the package `mcp` is installed, the endpoints are also tools for language models.

    Args:
        page: the page of `build_page`.
        options: further options of `gr.Blocks.launch`.
    """
    POOL.warm()
    share_arenas()
    log_places_only()
    configure_queue(page._queue)
    ledger = UploadLedger(
        free_bytes=lambda: shutil.disk_usage(get_upload_folder()).free,
        in_use=lambda: uploads_in_use(page),
    )
    app_options = {
        "lifespan": _lifespan(page, ledger, Proxies.of_environment()),
        "middleware": [Middleware(FrontDoor, page=page, ledger=ledger)],
        "routes": [Route(f"{API}/upload", upload_route(ledger), methods=["POST"])],
    }
    with uvicorn_trusts_nobody():
        return page.launch(
            theme=theme(),
            css_paths=CSS,
            footer_links=["api"],
            run_history=False,
            show_error=False,
            enable_monitoring=False,
            ssr_mode=False,  # Node would sit in front of our layers and hide the client's address
            max_file_size=MAX_SCAN_BYTES,
            state_session_capacity=SESSIONS,
            app_kwargs=app_options,
            mcp_server=find_spec("mcp") is not None,
            **options,
        )


def _lifespan(page: Page, ledger: UploadLedger, proxies: Proxies) -> Callable:
    """Return the lifespan of the server: it adds the outermost layer, sweeps old uploads, forgets
    old sessions, and returns free memory to the system."""

    sessions = Sessions(page)

    async def tidy() -> None:
        await recount(ledger)
        sessions.forget()

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(app.middleware_stack, proxies)
        queue = page._queue
        async with (
            swept(lambda: uploads_in_use(page), tidy),
            trimmed(lambda: queue.events_recorded, lambda: not queue.event_ids_to_events),
        ):
            yield

    return lifespan


def _connect(start: StartPage, tabs: gr.Tabs, slices: SlicePage) -> None:
    """Connect the buttons of the first tab to the other tabs; one of them judges an example."""
    for button, tab in ((start.slice, "slice"), (start.scan, "scan"), (start.many, "many")):
        button.click(
            lambda tab=tab: gr.Tabs(selected=tab), None, tabs, queue=False, api_visibility="private"
        )
    start.example.click(
        lambda t1c, t2: [gr.Tabs(selected="slice"), *slices.pick(0, t1c, t2)],
        slices.inputs[1:3],
        [tabs, *slices.inputs],
        preprocess=False,
        queue=False,
        api_visibility="private",
    )
