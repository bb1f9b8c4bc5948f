"""Checkpoints: how they are written, found and read back, and how the best state is kept."""
