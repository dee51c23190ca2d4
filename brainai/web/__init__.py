"""The demo: a Gradio page and the endpoints for programs; the only package that knows Gradio."""
