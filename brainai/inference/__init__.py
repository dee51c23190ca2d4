"""Inference: the classifier for slices and scans, and its command lines."""
