"""The demo. `python app.py` opens it with the weights beside this file.

BRAINAI_WEIGHTS or --weights names others: a model folder, or owner/name@revision on the Hub, where
HF_TOKEN opens private ones. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where it listens.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    import spaces  # only on a ZeroGPU Space, where it must come before torch
except ImportError:
    spaces = None

from brainai.console import print_anywhere
from brainai.web.sweep import claim_folder

claim_folder()  # before Gradio is imported

from brainai.errors import BrainAIError
from brainai.inference.classifier import Classifier
from brainai.web.examples import find_examples
from brainai.web.interface import build_page, launch
from brainai.web.jobs import Jobs
from brainai.web.tokens import forget_tokens

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the model, build the page, serve it until stopped."""
    print_anywhere()
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--weights",
        default=os.environ.get("BRAINAI_WEIGHTS") or HERE / "weights",
        help="model folder or owner/name@revision (default: BRAINAI_WEIGHTS, else ./weights)",
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads go at the end
    try:
        classifier = Classifier.load(options.weights, fallback=HERE / "weights")
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    forget_tokens()
    print(*filter(None, (f"Weights: {classifier.weights}", classifier.weights.notice)), sep="\n")
    jobs = Jobs.gathered(classifier) if spaces is None else Jobs.of(classifier).on_gpu(spaces.GPU)
    examples = find_examples(HERE / "examples")
    launch(build_page(jobs, classifier.info, examples, classifier.report, classifier.weights))
    return 0


if __name__ == "__main__":
    sys.exit(main())
