"""The demo. `python app.py` opens it with the weights beside this file.

BRAINAI_WEIGHTS or --weights names another model folder; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT
say where it listens.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    import spaces  # only on a ZeroGPU Space, where it must come before torch
except ImportError:
    spaces = None

from brainai.errors import BrainAIError
from brainai.inference.classifier import Classifier
from brainai.web.interface import build_page, launch

HERE = Path(__file__).resolve().parent
GPU_SECONDS = 10  # asked for each slice; short requests wait less


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the model, build the page, serve it until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--weights",
        default=os.environ.get("BRAINAI_WEIGHTS") or HERE / "weights",
        help="model folder (default: BRAINAI_WEIGHTS, else weights beside app.py)",
    )
    options = parser.parse_args(arguments)
    try:
        classifier = Classifier.load(options.weights)
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    predict = classifier.predict
    if spaces is not None:
        predict = spaces.GPU(duration=GPU_SECONDS)(predict)
    examples = sorted((HERE / "examples").glob("*.png"), reverse=True)  # tumours first
    launch(build_page(predict, classifier.info, examples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
