"""Signals as requests to stop, and processes that live and die together."""
