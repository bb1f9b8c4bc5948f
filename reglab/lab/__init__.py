"""Many configurations side by side: their lanes, intervals and pictures."""
