"""The demo: a Gradio page and the endpoints for programs. Only this package imports Gradio."""
