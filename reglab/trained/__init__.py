"""A trained network, read back from the folder of its run, for the commands that use it."""
