"""The demo. `python app.py` opens it with the weights beside this file.

BRAINAI_WEIGHTS or --weights names others: a model folder, or owner/name@revision on the Hub, where
HF_TOKEN opens private ones. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where it listens.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from brainai.command_line import run_command
from brainai.web import serve  # imports what must come before torch and Gradio first
from brainai.web.options import Serve

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the demo until stopped: 0, or 2 after one line that says what to correct."""
    return run_command(Serve, partial(serve.run, home=HERE), arguments, "python app.py")


if __name__ == "__main__":
    sys.exit(main())
