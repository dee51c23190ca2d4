"""BrainAI: finds tumor in brain MRI slices. A research and teaching tool, not a medical device.

>>> from brainai import Classifier
>>> prediction = Classifier.load("weights").predict("examples/tumor_frontal.png")
>>> prediction.label
'Tumor'

The classifier is imported on first use, so that `import brainai.data` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainai.inference.classifier import Classifier, Prediction, ScanPrediction

__version__ = "0.1.0"
__all__ = ["Classifier", "Prediction", "ScanPrediction", "__version__"]

DISCLAIMER = (
    "For research and teaching only. BrainAI is not a medical device: "
    "do not use it for diagnosis or treatment."
)


def __getattr__(name: str) -> Any:
    if name in ("Classifier", "Prediction", "ScanPrediction"):
        return getattr(import_module("brainai.inference.classifier"), name)
    raise AttributeError(f"module 'brainai' has no attribute {name!r}")
