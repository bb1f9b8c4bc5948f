"""The command line shared by all commands: flags, help, and what is refused before TensorFlow is imported."""
