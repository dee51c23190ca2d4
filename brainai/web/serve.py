"""The demo as a program: load the model, build the page, and serve it until stopped.

`app.py` starts it on a Space and in a checkout; `brainai serve` starts it from the package.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

if os.environ.get("SPACES_ZERO_GPU") == "true":  # the other Spaces have the package too
    import spaces  # must be imported before torch
else:
    spaces = None

from brainai.web.sweep import claim_folder

claim_folder()  # Gradio reads the folder when it is imported

import gradio as gr

from brainai.errors import ConfigError
from brainai.inference.classifier import Classifier
from brainai.web.examples import find_examples
from brainai.web.interface import build_page, launch
from brainai.web.jobs import Jobs
from brainai.web.options import Serve
from brainai.web.tokens import forget_tokens


def run(options: Serve, _: Sequence[str], home: Path = Path()) -> None:
    """Serve the demo.

    Args:
        options: the options of the command line.
        home: folder with `examples`, and with `weights` to fall back on if the Hub cannot be
            reached.
    Raises:
        WeightsError: there are no weights.
        ConfigError: the address or the port cannot be opened.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads are deleted
    fallback = home / "weights"
    weights = options.weights or os.environ.get("BRAINAI_WEIGHTS") or fallback
    classifier = Classifier.load(weights, fallback=fallback)
    forget_tokens()
    notice = classifier.weights and classifier.weights.notice
    print(*filter(None, (f"Weights: {classifier.weights}", notice)), sep="\n")
    jobs = Jobs.gathered(classifier) if spaces is None else Jobs.of(classifier).on_gpu(spaces.GPU)
    folder = (home / "examples").resolve()
    examples = find_examples(folder)
    page = build_page(jobs, classifier.info, examples, classifier.report, classifier.weights)
    _open(page, folder, os.environ.get("GRADIO_SERVER_PORT"))


def _open(page: gr.Blocks, examples: Path, port: str | None) -> None:
    """Serve the page at this port; None stands for the first of Gradio's ports that is free."""
    allowed = [str(examples)]  # Gradio copies them to the folder of uploads
    try:
        launch(page, allowed_paths=allowed, server_port=port and int(port))
    except (OSError, OverflowError) as error:  # Python raises the latter for ports beyond 65535
        name = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
        raise ConfigError(
            "GRADIO_SERVER_NAME, GRADIO_SERVER_PORT: expected an address of this machine and a "
            f"free port that you may open, found {name} and {port or '7860 to 7959'}. Set others."
        ) from error
