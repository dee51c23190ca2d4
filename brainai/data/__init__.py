"""Data: scan files to dataset folder to network input."""
