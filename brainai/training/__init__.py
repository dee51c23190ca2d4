"""Training: configuration, losses, the training loop, checkpoints."""
