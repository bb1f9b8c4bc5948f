"""What `metrics.jsonl` and the event files hold, how they are written, and how they are made whole again."""
