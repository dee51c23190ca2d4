"""How the page looks. No font, script or picture is fetched from elsewhere."""

import gradio as gr

SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
SYSTEM_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]

CSS = """
.gradio-container { max-width: 1120px !important; margin: 0 auto !important; }
.dark { --color-accent: var(--primary-400); }
#title .html-container, #answer .html-container, #about .html-container { padding: 0; }
#title { padding: 16px 0 6px; }
#title h1 { font-size: 2.1rem; font-weight: 700; letter-spacing: -.02em; margin: 0 0 4px; }
#title p { font-size: 1.05rem; color: var(--body-text-color-subdued); margin: 0; }
.card { --tone: var(--neutral-400); overflow: hidden; padding: 18px 22px 14px;
  border: 1px solid var(--border-color-primary); border-radius: 14px;
  background: var(--block-background-fill); box-shadow: inset 0 5px 0 var(--tone); }
.card.tumor { --tone: #d97706; }
.card.clear { --tone: #0d9488; }
.card h2 { font-size: 1.3rem; font-weight: 650; line-height: 1.3; margin: 4px 0 12px; }
.card p { margin: 0 0 8px; line-height: 1.5; }
.card .bars { margin: 0 0 8px; }
.card .bars > div { display: grid; grid-template-columns: 5.2em 1fr 5.6em; gap: 10px;
  align-items: center; margin-bottom: 8px; }
.card dt, .card dd { margin: 0; white-space: nowrap; }
.card dd:last-child { text-align: right; font-variant-numeric: tabular-nums; font-weight: 600; }
.card .bar { position: relative; height: 14px; border-radius: 7px;
  background: var(--background-fill-secondary);
  box-shadow: inset 0 0 0 1px var(--border-color-primary); }
.card .bar b { position: absolute; inset: 0 auto 0 0; border-radius: 7px; background: #0d9488; }
.card .bars > div:first-child .bar b { background: #d97706; }
.card .bar i { position: absolute; top: -4px; bottom: -4px; width: 2px;
  background: var(--body-text-color); }
.card .threshold, .card footer p, .card figcaption p { font-size: .875rem;
  color: var(--body-text-color-subdued); }
.card figure { margin: 14px 0 12px; text-align: center; }
.card .layers { display: grid; grid-template-columns: minmax(0, max-content);
  justify-content: center; margin-bottom: 8px; }
.card .layers img { grid-area: 1 / 1; display: block; margin: 0; max-height: 360px;
  max-width: 100%; border-radius: 10px; }
.card .layers img.slice { background: #000; }
.card .layers img:not(.slice) { pointer-events: none; }
.card figure:has([value="outline"]:checked) .heat,
.card figure:has([value="heat"]:checked) .outline,
.card figure:has([value="neither"]:checked) :is(.heat, .outline) { display: none; }
.card fieldset { margin: 0 0 10px; padding: 0; border: 0; min-width: 0; }
.card legend { margin: 0 auto; padding: 0 0 4px; font-size: .875rem;
  color: var(--body-text-color-subdued); }
.card fieldset div { display: inline-flex; flex-wrap: wrap; padding: 3px; border-radius: 10px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-secondary); }
.card fieldset label { cursor: pointer; }
.card fieldset input { position: absolute; opacity: 0; pointer-events: none; }
.card fieldset span { display: block; padding: 4px 12px; border-radius: 7px; font-size: .875rem;
  white-space: nowrap; }
.card fieldset :checked + span { background: var(--block-background-fill); font-weight: 600;
  box-shadow: 0 0 0 1px var(--border-color-primary); }
.card fieldset :focus-visible + span { outline: 2px solid var(--color-accent); }
.card .legend { display: flex; justify-content: center; align-items: center; gap: 8px;
  margin: 0 0 8px; font-size: .875rem; white-space: nowrap; color: var(--body-text-color-subdued); }
.card .legend i { width: 110px; height: 12px; border-radius: 6px; background-color: #777; }
.card footer { border-top: 1px solid var(--border-color-primary); margin-top: 12px;
  padding-top: 10px; }
.card footer .notice { font-weight: 600; color: var(--body-text-color); }
#about { padding-top: 12px; }
#about .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr));
  gap: 8px 28px; }
#about h3 { font-size: 1rem; font-weight: 650; margin: 8px 0 4px; }
#about p { margin: 0 0 8px; line-height: 1.55; }
#examples div.gallery:has(> button) { display: grid; gap: 10px;
  grid-template-columns: repeat(4, 1fr); }
#examples .gallery-item, #examples .gallery-item span { display: block; width: 100%; }
#examples .gallery-item .container, #examples .gallery-item img { width: 100%; height: auto;
  max-width: none; max-height: none; aspect-ratio: 1; object-fit: cover; }
footer .show-api { display: flex !important; }
footer .divider:last-child { display: none !important; }
@media (max-width: 480px) {
  .card { padding: 16px 14px 10px; }
  .card .bars > div { grid-template-columns: 4.9em 1fr 5.2em; gap: 8px; }
  .card fieldset span { padding: 6px 8px; }
}
"""


def theme() -> gr.themes.Base:
    """Teal on slate, large radii, the fonts of the visitor's own system."""
    return gr.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=SYSTEM_FONTS,
        font_mono=SYSTEM_MONO,
    ).set(
        body_text_color_subdued="*neutral_600",  # Soft's own grey is too pale to read
        body_text_color_subdued_dark="*neutral_400",
        body_background_fill="*neutral_50",
        block_background_fill="white",
        block_border_width="1px",
        block_label_text_color="*primary_800",
        color_accent="*primary_700",
    )
