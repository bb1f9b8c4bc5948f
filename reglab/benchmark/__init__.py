"""Measures how fast reglab is, against the machine's limit and against other libraries."""
