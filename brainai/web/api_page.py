"""The tab for programs: the endpoints, and code to copy."""

import json

import gradio as gr

from brainai.web.assets import asset

LOCAL = "http://127.0.0.1:7860"  # in the snippets; the page replaces it with its own address
SNIPPETS = {"Python": "predict.py", "JavaScript": "predict.mjs", "curl": "predict.sh"}
LANGUAGES = {"Python": "python", "JavaScript": "javascript", "curl": "bash"}
INTRODUCTION = """
## Use it from a program

The endpoints use the same network as this page. An answer is JSON with `label`, `probability`,
`threshold`, `reason`, `area_cm2`, `mask` (a PNG or NIfTI file), `model`, `version` and
`disclaimer`. An error has a sentence and a stable code.

| endpoint | input | output |
|---|---|---|
| `/predict` | `flair`; optional `t1c`, `t2`, `pixel_mm` | the answer for a slice |
| `/predict_scan` | `flair`, file or list; optional `t1c`, `t2` | answers for scan and slices |
| `/predict_batch` | `files`, a list; `masks`, true or false | `answers`, one for each file |
| `/model_info` | none | the model, its limits and its figures |
| `/health` | none | `{"status": "ok", …}` |
"""

CLOSING = f"""
`docs/api.md` and `docs/api.schema.json` in the repository describe each field. The OpenAPI
description of this server is [openapi.json]({LOCAL}/gradio_api/openapi.json). For research and
teaching only.
"""


def add_api_page(page: gr.Blocks) -> None:
    """Add the contents of the tab to `page`; call it within the tab."""
    shown = gr.Markdown(api_text(), elem_id="api")
    text, local = json.dumps(api_text()), json.dumps(LOCAL)
    address = "(window.location.origin + window.location.pathname).replace(/\\/+$/, '')"
    page.load(None, None, shown, js=f"() => {text}.replaceAll({local}, {address})")


def api_text() -> str:
    """Return the text of the tab; Markdown."""
    parts = [INTRODUCTION]
    for title, file in SNIPPETS.items():
        parts.append(f"### {title}\n\n```{LANGUAGES[title]}\n{snippet(file)}```")
    return "\n\n".join([*parts, CLOSING])


def snippet(file: str, address: str = LOCAL) -> str:
    """Return a program that asks for one slice.

    Args:
        file: name of the snippet, one of the values of `SNIPPETS`.
        address: address of the server to ask.
    """
    return asset(f"snippets/{file}").replace(LOCAL, address.rstrip("/"))
