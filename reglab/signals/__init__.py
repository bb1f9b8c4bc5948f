"""Signals as requests to stop, and processes that start and end together."""
