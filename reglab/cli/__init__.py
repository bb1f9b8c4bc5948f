"""The command line of every command: flags, help, and what is refused before TensorFlow is imported."""
