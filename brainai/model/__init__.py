"""The network, and the model folder that stores it."""
