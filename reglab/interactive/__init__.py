"""What Python users hold: `fit`, whose history shows, plots, evaluates and hands over its network."""
