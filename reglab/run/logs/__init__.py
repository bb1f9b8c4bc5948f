"""`metrics.jsonl` and the event files: what they hold, how they are written, and how they are mended."""
