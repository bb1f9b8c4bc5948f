"""Checkpoints: written, found, read back, and the best state among them."""
