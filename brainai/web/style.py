"""The theme of the page; its style sheet is assets/page.css. Nothing is loaded from elsewhere."""

from typing import Any

import gradio as gr

SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
SYSTEM_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]


def theme() -> gr.themes.Base:
    """Return the theme: teal on slate, large radii, and the system fonts of the visitor."""
    return gr.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=SYSTEM_FONTS,
        font_mono=SYSTEM_MONO,
    ).set(
        body_text_color_subdued="*neutral_600",  # the gray of Soft is too pale to read
        body_text_color_subdued_dark="*neutral_400",
        body_background_fill="*neutral_50",
        block_background_fill="white",
        block_border_width="1px",
        block_label_text_color="*primary_800",
        block_title_text_color="*primary_800",
        color_accent="*primary_700",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        block_label_background_fill_dark="*primary_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_primary_background_fill="*primary_700",  # that of Soft is too pale for white text
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )


def plain_html(value: str = "", **options: Any) -> gr.HTML:
    """Return a `gr.HTML` without Gradio's default styles; `options` are those of `gr.HTML`."""
    return gr.HTML(value, apply_default_css=False, **options)
