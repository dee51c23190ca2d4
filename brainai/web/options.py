"""The options of `brainai serve`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Serve:
    """Serve the demo. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT set the address and the port."""

    weights: str | None = None
    """model folder or owner/name@revision on the Hub; default: BRAINAI_WEIGHTS, else ./weights"""
