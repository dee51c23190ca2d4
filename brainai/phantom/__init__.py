"""Simulated studies: anatomy, MR signal, tumor, known mask. `python -m brainai.phantom`."""
