"""Simulated studies: anatomy, MR signal, tumour, known mask. `python -m brainai.data.phantom`."""

from brainai.data.phantom.files import write_examples, write_studies
from brainai.data.phantom.study import Phantom, simulate

__all__ = ["Phantom", "simulate", "write_examples", "write_studies"]
