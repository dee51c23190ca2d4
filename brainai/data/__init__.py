"""Turn scan files into a dataset folder, and a dataset folder into network input."""
