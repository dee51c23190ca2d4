"""The tab for programs: the endpoints, and what to copy to ask them."""

import json

import gradio as gr

from brainai.web.assets import asset

LOCAL = "http://127.0.0.1:7860"  # in the snippets; the page puts its own address there
SNIPPETS = {"Python": "predict.py", "JavaScript": "predict.mjs", "curl": "predict.sh"}
LANGUAGES = {"Python": "python", "JavaScript": "javascript", "curl": "bash"}
INTRODUCTION = """
## Ask it from a program

The same network as on this page, without the page. An answer is JSON with `label`, `probability`,
`threshold`, `reason`, `area_cm2`, `mask` (a PNG or NIfTI file), `model`, `version` and
`disclaimer`; an error is a sentence and a code that stays.

| endpoint | what goes in | what comes out |
|---|---|---|
| `/predict` | `flair`; optional `t1c`, `t2`, `pixel_mm` | the answer for a slice |
| `/predict_scan` | `flair`, one file or a list; optional `t1c`, `t2` | for a scan and its slices |
| `/predict_batch` | `files`, a list; `masks`, true or false | `answers`, one for each file |
| `/model_info` | nothing | the model, its limits and its figures |
| `/health` | nothing | `{"status": "ok", …}` |
"""

CLOSING = """
`docs/api.md` and `docs/api.schema.json` in the repository describe every field; this server
describes itself at [/gradio_api/openapi.json](/gradio_api/openapi.json). For research and teaching
only.
"""


def add_api_page(page: gr.Blocks) -> None:
    """Put the tab's contents where it is called, within `page`."""
    shown = gr.Markdown(api_text(), elem_id="api")
    text, local = json.dumps(api_text()), json.dumps(LOCAL)
    own = "(window.location.origin + window.location.pathname).replace(/\\/+$/, '')"
    page.load(None, None, shown, js=f"() => {text}.replaceAll({local}, {own})")


def api_text() -> str:
    """Everything on the tab; Markdown."""
    parts = [INTRODUCTION]
    for title, file in SNIPPETS.items():
        parts.append(f"### {title}\n\n```{LANGUAGES[title]}\n{snippet(file)}```")
    return "\n\n".join([*parts, CLOSING])


def snippet(file: str, address: str = LOCAL) -> str:
    """A program that asks for one slice."""
    return asset(f"snippets/{file}").replace(LOCAL, address.rstrip("/"))
