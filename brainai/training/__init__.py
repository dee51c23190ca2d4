"""The recipe's parts: configuration, loss, one stage of training, checkpoints."""
