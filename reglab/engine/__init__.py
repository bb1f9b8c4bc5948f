"""Runs the core: compiled programs and their trainings, sources of batches, replicas, lanes, and their placement."""
