"""The demo. `python app.py` serves it with the weights in the folder next to this file.

BRAINAI_WEIGHTS or --weights names other weights: a model folder, or owner/name@revision on the Hub.
Private weights need HF_TOKEN. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT set the address and port.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from brainai.command_line import run_command
from brainai.web import serve  # must come before anything that imports torch or Gradio
from brainai.web.options import Serve

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the demo until stopped; return 0, or 2 after printing an error."""
    return run_command(Serve, partial(serve.run, home=HERE), arguments, "python app.py")


if __name__ == "__main__":
    sys.exit(main())
